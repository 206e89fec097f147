"""Digest authentication (RFC 7616)."""

from __future__ import annotations

import hashlib
import os
import re

from .._prepare import Source
from ..errors import UnrewindableBodyError
from .auth import PasswordAuth
from .challenges import Challenge, parse_challenges, parse_parameters, quote
from .lock import lock
from .redirects import origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from .request import PreparedRequest

# The strongest first.
_HASHES = ("sha512_256", "sha256", "md5")
_HASH_OF = {
    "MD5": "md5",
    "SHA-256": "sha256",
    "SHA-512-256": "sha512_256",
}

# One request without a nonce or with an old one, one with the server's, one
# more when that was stale by then.
_MOST_ROUNDS = 3

_NO_BODY_TWICE = (
    "a Digest of the request is asked for, which has to be sent again for "
    "it, and its body cannot be: give bytes or a file that can seek in place "
    "of an iterator"
)


class Peer:
    """Who asks: by which status, and in which headers."""

    def __init__(self, status: int, challenge: str, info: str) -> None:
        self.status = status
        self.challenge = challenge
        self.info = info


SERVER = Peer(401, "WWW-Authenticate", "Authentication-Info")
PROXY = Peer(407, "Proxy-Authenticate", "Proxy-Authentication-Info")


class DigestAuth(PasswordAuth):
    """Digest: MD5, SHA-256, SHA-512-256 and their -sess forms, qop auth and
    auth-int.

    username, password  str (sent as UTF-8) or bytes

    The strongest of what the server offers is taken. A nonce is used on, with
    its count, for as long as the server accepts it, for each origin its own;
    so only the first request is answered with a 401. May be shared by
    threads.
    """

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        super().__init__(username, password)
        self._sessions: dict[object, _Session] = {}

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Answers the challenge of earlier, if this origin has set one."""
        value = self.known(origin(request.url), request, target_of(request))
        if value is None:
            request.headers.pop("Authorization", None)
        else:
            request.headers["Authorization"] = value
        return request

    def auth_flow(
        self, request: PreparedRequest
    ) -> Generator[PreparedRequest, Any, None]:
        where = origin(request.url)
        request = self(request)
        value: str | bytes | None = request.headers.get("Authorization")
        rounds = self.rounds(where, SERVER, request, target_of(request), value)
        try:
            next(rounds)
            while True:
                value = rounds.send((yield request))
                request.headers["Authorization"] = value
        except StopIteration:
            return

    def handle_401(self, r: Any, **kwargs: Any) -> Any:
        """requests' hook, which others call: what comes back when the request
        of `r` is sent again with the answer to its challenge, else `r`."""
        rounds = self.auth_flow(r.request.copy())
        next(rounds)
        while True:
            try:
                request = rounds.send(r)
            except StopIteration:
                return r
            r.content  # its connection is free then
            before, r = r, r.connection.send(request, **kwargs)
            r.history = [*before.history, before]

    def known(self, where: object, request: Any, uri: str) -> bytes | None:
        """The answer to the challenge of earlier, if there was one."""
        with lock:
            session = self._sessions.get(where)
        return None if session is None else session.answer(request, uri)

    def rounds(
        self,
        where: object,
        peer: Peer,
        request: Any,
        uri: str,
        used: str | bytes | None,
    ) -> Generator[Any, Any, None]:
        """Yields what `request` is to say, `used` at first, and is sent the
        responses. where: whose challenges these are, for the requests to come.
        """
        session: _Session | None = None
        for sent in range(1, _MOST_ROUNDS + 1):
            response = yield used
            if response.status_code != peer.status:
                # Not before: were others to count it on at once, theirs might
                # arrive first, and a strict peer wants them in order.
                if session is not None:
                    self._keep(where, session)
                self._note_next_nonce(where, peer, response)
                return
            session = self._challenged(peer, response)
            fails = session is None or (
                sent > 1 and not session.is_stale and used is not None
            )
            if session is None or fails or sent == _MOST_ROUNDS:
                self._forget(where)
                return
            if not request._can_rewind():
                raise UnrewindableBodyError(_NO_BODY_TWICE, response=response)
            used = session.answer(request, uri)

    def _challenged(self, peer: Peer, response: Any) -> _Session | None:
        fields = response.headers.get_list(peer.challenge)
        offers = [
            session
            for challenge in parse_challenges(fields)
            if (session := self._session(challenge)) is not None
        ]
        return min(offers, key=lambda offer: offer.rank, default=None)

    def _session(self, challenge: Challenge) -> _Session | None:
        """None for a challenge that cannot be answered."""
        if challenge.scheme != "digest":
            return None
        try:
            return _Session(challenge, self.username, self.password)
        except (KeyError, ValueError):
            return None

    def _keep(self, where: object, session: _Session) -> None:
        with lock:
            self._sessions[where] = session

    def _forget(self, where: object) -> None:
        with lock:
            self._sessions.pop(where, None)

    def _note_next_nonce(
        self, where: object, peer: Peer, response: Any
    ) -> None:
        for field in response.headers.get_list(peer.info):
            nonce = parse_parameters(field).get("nextnonce")
            if nonce:
                with lock:
                    session = self._sessions.get(where)
                if session is not None:
                    session.go_on_with(nonce)

    def __getstate__(self) -> dict[str, Any]:
        return {"username": self.username, "password": self.password}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class _Session:
    """What one challenge allows: answers, each with the next count.

    KeyError or ValueError for a challenge that lacks something or asks for
    what is not known here.
    """

    def __init__(
        self, challenge: Challenge, username: str | bytes, password: str | bytes
    ) -> None:
        asked = challenge.parameters
        self._realm, self._nonce = asked["realm"], asked["nonce"]
        self._opaque = asked.get("opaque")
        self._algorithm = asked.get("algorithm") or None
        name, is_sess = _split_algorithm(self._algorithm or "MD5")
        self._hash = _hash_function(name)
        self.rank = _HASHES.index(_HASH_OF[name]), not is_sess
        self.is_stale = asked.get("stale", "").lower() == "true"
        self._qop = _choose_qop(asked.get("qop"))
        self._cnonce = _new_cnonce()
        self._count = 0
        self._set_user(asked, _octets(username))
        self._ha1 = self._hash_a1(_octets(username), _octets(password), is_sess)

    def _set_user(self, asked: dict[str, str], user: bytes) -> None:
        self._userhash = asked.get("userhash", "").lower() == "true"
        if self._userhash:
            user = self._hash(user + b":" + _raw(self._realm)).encode()
        self._extended = not user.isascii() and "charset" in asked
        self._user = user

    def _hash_a1(self, user: bytes, password: bytes, is_sess: bool) -> str:
        # RFC 7616, 3.4.2: for -sess made once, of the challenge's nonce.
        ha1 = self._hash(b":".join((user, _raw(self._realm), password)))
        if is_sess:
            text = f"{ha1}:{self._nonce}:{self._cnonce}"
            ha1 = self._hash(_raw(text))
        self._has_cnonce = is_sess or self._qop is not None
        return ha1

    def go_on_with(self, nonce: str) -> None:
        """The server's next nonce, counted from one."""
        with lock:
            if nonce != self._nonce:
                self._nonce, self._count = nonce, 0

    def answer(self, request: Any, uri: str) -> bytes:
        """The value of Authorization. UnrewindableBodyError when the body has
        to be read for it and is there only once."""
        a2 = f"{request.method}:{uri}"
        if self._qop == "auth-int":
            a2 += ":" + self._hash_body(request)
        with lock:
            self._count += 1
            nonce, count = self._nonce, f"{self._count:08x}"
        response = self._response(a2, nonce, count)
        fields = [self._user_field(), f"realm={quote(self._realm)}"]
        fields += [f"nonce={quote(nonce)}", f"uri={quote(uri)}"]
        if self._algorithm is not None:
            fields.append(f"algorithm={self._algorithm}")
        if self._qop is not None:
            fields += [f"qop={self._qop}", f"nc={count}"]
        if self._has_cnonce:
            fields.append(f'cnonce="{self._cnonce}"')
        fields.append(f'response="{response}"')
        if self._opaque is not None:
            fields.append(f"opaque={quote(self._opaque)}")
        if self._userhash:
            fields.append("userhash=true")
        return _raw("Digest " + ", ".join(fields))

    def _user_field(self) -> str:
        if self._extended:
            from urllib.parse import quote as percent

            return "username*=UTF-8''" + percent(self._user, safe="")
        return "username=" + quote(self._user.decode("latin-1"))

    def _response(self, a2: str, nonce: str, count: str) -> str:
        parts = [self._ha1, nonce]
        if self._qop is not None:
            parts += [count, self._cnonce, self._qop]
        parts.append(self._hash(_raw(a2)))
        return self._hash(_raw(":".join(parts)))

    def _hash_body(self, request: PreparedRequest) -> str:
        content = request._content()
        if not isinstance(content, Source):
            body = content.encode() if isinstance(content, str) else content
            return self._hash(b"" if body is None else body)
        if not content.rewindable:
            raise UnrewindableBodyError(_NO_BODY_TWICE)
        content.rewind()  # it may have been sent before
        whole = self._hash.begin()
        while piece := content.next():
            whole.update(piece)
        content.rewind()
        return str(whole.hexdigest())


class _Hash:
    """A hash function, by its name in hashlib. ValueError when this OpenSSL
    has no such function."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.begin()

    def begin(self) -> Any:
        return hashlib.new(self._name, usedforsecurity=False)

    def __call__(self, data: bytes) -> str:
        whole = self.begin()
        whole.update(data)
        return str(whole.hexdigest())


def _hash_function(algorithm: str) -> _Hash:
    return _Hash(_HASH_OF[algorithm])


def _split_algorithm(algorithm: str) -> tuple[str, bool]:
    """("SHA-256", True) for sha-256-sess. ValueError for what is no token."""
    if not algorithm.isascii():  # upper() makes "SS" of a sharp s
        raise ValueError(algorithm)
    name = algorithm.upper()
    return name.removesuffix("-SESS"), name.endswith("-SESS")


def _choose_qop(offered: str | None) -> str | None:
    """"auth" before "auth-int", which needs the whole body beforehand; None
    where there is none, as in RFC 2069. ValueError for others alone."""
    if offered is None:
        return None
    names = [name.strip().lower() for name in offered.split(",")]
    for qop in ("auth", "auth-int"):
        if qop in names:
            return qop
    raise ValueError(offered)


def target_of(request: PreparedRequest) -> str:
    """Path and query as they stand in the request line: what may not stand
    there is sent percent-encoded."""
    return _NOT_IN_TARGET.sub(
        lambda found: f"%{ord(found[0]):02X}",
        request.path_url.encode().decode("latin-1"),
    )


_NOT_IN_TARGET = re.compile(
    r"[^A-Za-z0-9\-._~/?:@!$&'()*+,;=%]|%(?![0-9A-Fa-f]{2})"
)


def _new_cnonce() -> str:
    return os.urandom(16).hex()


def _octets(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _raw(text: str) -> bytes:
    """What a header's text was made of."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()
