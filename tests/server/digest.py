"""A server's side of Digest authentication, strict, written from RFC 7616.

    digest = Digest("Mufasa", "Circle of Life", algorithm="SHA-256")
    server([serve(digest)])

Answers 401 with a challenge, 200 to a request that is right in every respect,
and says in `refusals` what was wrong with any other.
"""

import hashlib
import re
import threading
from urllib.parse import unquote_to_bytes

from tests.server.scripted import respond, serve

HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
FIELD = re.compile(r'([a-z*]+)=("(?:[^"\\]|\\.)*"|[^",\s]+)(?:, |$)')
QUOTED = {"username", "realm", "nonce", "uri", "response", "cnonce", "opaque"}


class Refused(Exception):
    """Why a request is not let in."""


def fields_of(authorization):
    scheme, _, rest = authorization.partition(" ")
    if scheme != "Digest":
        raise Refused(f"scheme {scheme}")
    fields, at = {}, 0
    while at < len(rest):
        found = FIELD.match(rest, at)
        if found is None or found[1] in fields:
            raise Refused(f"malformed at {rest[at:]}")
        name, text = found[1], found[2]
        if text.startswith('"') != (name in QUOTED):
            raise Refused(f"{name} is quoted wrongly")
        fields[name] = re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] == '"' else text
        at = found.end()
    return fields


class Digest:
    STATUS = 401
    CHALLENGE = "WWW-Authenticate"
    ANSWER = "Authorization"
    INFO = "Authentication-Info"

    def __init__(
        self,
        username="Mufasa",
        password="Circle of Life",
        *,
        realm="http-auth@example.org",
        algorithm="MD5",
        qop="auth",
        opaque='o"p\\aque',
        userhash=False,
        charset=None,
        uses=None,
        next_nonce=False,
        also=(),
    ):
        self.user, self.password = username.encode(), password.encode()
        self.realm, self.qop, self.opaque = realm, qop, opaque
        self.algorithm = algorithm
        self.userhash, self.charset = userhash, charset
        self.uses = uses  # a nonce is stale after so many
        self.next_nonce = next_nonce
        self.also = also  # more WWW-Authenticate fields, before ours
        self.nonces = {}  # nonce: the last count
        self.cnonces = {}  # nonce: the first cnonce, for -sess
        self.refusals = []
        self.accepted = []  # the fields

    # -- the server

    def __call__(self, request):
        try:
            fields = self.check(request)
        except Refused as exc:
            self.refusals.append(str(exc))
            return self.refuse(stale=str(exc) == "stale")
        self.accepted.append(fields)
        more = {}
        if self.next_nonce:
            more[self.INFO] = f'nextnonce="{self.new_nonce()}"'
        return respond(b"welcome", headers=more)

    def new_nonce(self):
        nonce = f"nonce,{len(self.nonces)}"
        self.nonces[nonce] = 0
        return nonce

    def challenge(self, stale=False):
        parts = [f'realm="{self.escape(self.realm)}"', f'nonce="{self.new_nonce()}"']
        if self.qop:
            parts.append(f'qop="{self.qop}"')
        if self.algorithm:
            parts.append(f"algorithm={self.algorithm}")
        if self.opaque is not None:
            parts.append(f'opaque="{self.escape(self.opaque)}"')
        if self.userhash:
            parts.append("userhash=true")
        if self.charset:
            parts.append(f"charset={self.charset}")
        if stale:
            parts.append("stale=true")
        return "Digest " + ", ".join(parts)

    def refuse(self, stale=False):
        fields = [(self.CHALLENGE, value) for value in self.also]
        fields.append((self.CHALLENGE, self.challenge(stale)))
        return respond(b"refused" * 50, status=self.STATUS, headers=fields)

    @staticmethod
    def escape(text):
        return text.replace("\\", "\\\\").replace('"', '\\"')

    # -- the check

    def check(self, request):
        authorization = request.get(self.ANSWER)
        if authorization is None:
            raise Refused("no credentials")
        fields = fields_of(authorization)
        self.check_echo(fields, request)
        if fields["response"] != self.response(fields, request):
            raise Refused("wrong response")
        self.check_count(fields)
        return fields

    def check_echo(self, fields, request):
        for name, wanted in (
            ("realm", self.realm),
            ("uri", request.target),
            ("algorithm", self.algorithm),
            ("opaque", self.opaque),
            ("userhash", "true" if self.userhash else None),
        ):
            if fields.get(name) != wanted:
                raise Refused(f"{name} is {fields.get(name)!r}, not {wanted!r}")
        if self.user_in(fields) != self.wanted_user():
            raise Refused("wrong user")
        if fields.get("nonce") not in self.nonces:
            raise Refused("unknown nonce")
        if bool(self.qop) != ("qop" in fields) or bool(self.qop) != ("nc" in fields):
            raise Refused("qop and nc go with the challenge's qop")
        if self.qop and fields["qop"] not in self.qop.replace(" ", "").split(","):
            raise Refused("a qop that was not offered")
        if self.qop and not re.fullmatch("[0-9a-f]{8}", fields["nc"]):
            raise Refused("nc has 8 digits")

    def user_in(self, fields):
        extended = fields.get("username*")
        if extended is None:
            return fields["username"].encode("latin-1")
        if self.charset is None or not extended.startswith("UTF-8''"):
            raise Refused("username*")
        return unquote_to_bytes(extended[7:])

    def wanted_user(self):
        if not self.userhash:
            return self.user
        return self.hash(self.user + b":" + self.realm.encode()).encode()

    def check_count(self, fields):
        nonce = fields["nonce"]
        if self.qop:
            count = int(fields["nc"], 16)
            if count != self.nonces[nonce] + 1:
                raise Refused(f"nc {count} after {self.nonces[nonce]}")
        else:
            count = self.nonces[nonce] + 1
        self.nonces[nonce] = count
        if self.uses is not None and count > self.uses:
            raise Refused("stale")

    def hash(self, data):
        name = (self.algorithm or "MD5").removesuffix("-sess")
        return hashlib.new(HASHES[name], data).hexdigest()

    def response(self, fields, request):
        a1 = b":".join((self.user, self.realm.encode(), self.password))
        ha1 = self.hash(a1)
        if self.algorithm and self.algorithm.endswith("-sess"):
            first = self.cnonces.setdefault(fields["nonce"], fields["cnonce"])
            ha1 = self.hash(f"{ha1}:{fields['nonce']}:{first}".encode())
        a2 = f"{request.method}:{request.target}"
        if fields.get("qop") == "auth-int":
            a2 += ":" + self.hash(request.body)
        middle = [fields["nonce"]]
        if self.qop:
            middle += [fields["nc"], fields["cnonce"], fields["qop"]]
        return self.hash(":".join([ha1, *middle, self.hash(a2.encode())]).encode())


class ProxyDigest(Digest):
    """The same of a proxy, which answers in the server's place."""

    STATUS = 407
    CHALLENGE = "Proxy-Authenticate"
    ANSWER = "Proxy-Authorization"
    INFO = "Proxy-Authentication-Info"

    def __init__(self, *arguments, **how):
        super().__init__(*arguments, **how)
        self.lock = threading.Lock()  # of many connections at once

    def __call__(self, request):
        with self.lock:
            return super().__call__(request)

    def refuse(self, stale=False):
        """Squid calls a nonce stale, too, when its counts come out of order."""
        return super().refuse(stale or self.refusals[-1].startswith("nc "))

    def check_count(self, fields):
        """Counts may be left out, as with squid: a tunnel that is there needs
        no answer."""
        count = int(fields["nc"], 16)
        if count > self.nonces[fields["nonce"]]:
            self.nonces[fields["nonce"]] = count - 1
        super().check_count(fields)

    def tunnel(self, context, *then):
        """A script: a tunnel to itself for who is right, else it closes."""

        def script(connection):
            request = connection.expect()
            answer = self(request)
            if answer.startswith(b"HTTP/1.1 407"):
                connection.send(answer)
                return
            connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            connection.start_tls(context)
            for step in then or [serve(respond(b"ok"))]:
                step(connection)

        return [script]
