"""One piece of code with requests, and with hpool in its place: what it got,
and what the server saw."""

import gzip
import io
import json
import re
import tarfile
import warnings

import requests

import hpool
from tests.server.scripted import chunks, respond, serve

# Headers that say who the client is, or what is taken for granted.
IGNORED = {
    "user-agent",
    "accept-encoding",  # what it can decode
    "connection",  # keep-alive goes without saying
    "referer",  # hpool says where a redirect comes from
    "host",  # a port of its own
}

# ---- the server --------------------------------------------------------------


def answer(request):
    path, _, query = request.target.partition("?")
    if path.startswith("/status/"):
        return respond(b"sorry", status=int(path[8:]))
    if path.startswith("/redirect/"):
        return respond(status=int(path[10:]), headers={"Location": "/echo"})
    if path == "/token":
        known = request.get("Authorization") is not None
        cookie = {"Set-Cookie": "known=1; Path=/" if known else "seen=1; Path=/"}
        return respond(request.body, 200 if known else 401, cookie)
    if path == "/authorized" and request.get("Authorization") is None:
        challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
        return respond(b"no", 401, {"WWW-Authenticate": challenge})
    return ANSWERS.get(path, echo)(request)


def echo(request):
    """As JSON: what was sent."""
    seen = {
        "method": request.method,
        "target": request.target,
        "body": request.body.decode("latin-1"),
        "cookie": request.get("Cookie"),
    }
    return respond(
        json.dumps(seen).encode(), headers={"Content-Type": "application/json"}
    )


def fixed(body=b"", status=200, **headers):
    named = [(n.replace("_", "-"), v) for n, v in headers.items()]
    return lambda request: respond(body, status, named)


def packed(files):
    """A .tar.gz of them."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return whole.getvalue()


LINES = b'{"a":1}\n{"a":2}\r\n\n{"a":3}'

ANSWERS = {
    "/json": fixed(b'{"a": ["\xc3\xa4", null]}', Content_Type="application/json"),
    "/broken.json": fixed(b"{", Content_Type="application/json"),
    "/utf8": fixed("ä€".encode(), Content_Type="text/plain; charset=utf-8"),
    "/plain": fixed("ä".encode(), Content_Type="text/plain"),
    "/latin1": fixed(b"\xe4", Content_Type="text/plain; charset=iso-8859-1"),
    "/bytes": fixed(bytes(range(256)) * 20, Content_Type="application/octet-stream"),
    "/bom": fixed("\ufeffä".encode()),
    "/utf16": fixed("ä".encode("utf-16")),
    "/tar": fixed(packed({"a.txt": b"a" * 3000, "b.txt": b"b"})),
    "/gzip": fixed(gzip.compress(b"packed" * 50), Content_Encoding="gzip"),
    "/lines": fixed(LINES),
    "/empty": fixed(status=204),
    "/links": fixed(
        b"", Link='<https://a.test/?page=2>; rel="next", <https://a.test/9>; rel=last'
    ),
    "/cookies/set": lambda request: respond(
        b"", headers=[("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/")]
    ),
    "/cookies/foreign": fixed(Set_Cookie="f=1; Domain=other.test"),
    "/cookies/clear": fixed(Set_Cookie="a=; Path=/; Max-Age=0"),
    "/login": fixed(status=302, Set_Cookie="sid=x; Path=/", Location="/echo?in"),
    "/loop": fixed(status=302, Location="/loop"),
    "/away": fixed(status=302, Location="ftp://a.test/"),
    "/lost": fixed(status=302),
    "/chunked": lambda request: respond(
        chunks(b"one", b"two"), headers={"Transfer-Encoding": "chunked"}
    ),
    "/twice": lambda request: respond(b"", headers=[("X-A", "1"), ("X-a", "2")]),
}


# ---- side by side ------------------------------------------------------------

def run(function, library, server):
    """(what the server saw, what the snippet got)"""
    s = server(serve(answer))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = function(library, s.url)
        if hasattr(got, "__next__"):
            got = list(got)
    return [seen(r) for r in s.requests], plain(got, s.url)


def seen(request):
    headers = {
        name.lower(): value_seen(name.lower(), value)
        for name, value in request.fields
        if name.lower() not in IGNORED or "other.test" in value
    }
    body = request.body.decode("latin-1")
    if not body and request.method not in ("POST", "PUT", "PATCH"):
        headers.pop("content-length", None)
    if headers.get("content-type", "").startswith("multipart/"):
        body = without_boundary(body)
        headers.pop("content-length", None)  # of a boundary of another length
    elif headers.get("content-type") == "application/json":
        body = json.loads(request.body)
        headers.pop("content-length")
    return request.method, request.target, headers, body


def value_seen(name, value):
    """Without what is chance, in an order where there is none."""
    if name == "cookie":
        return sorted(value.split("; "))
    if value.startswith("Digest "):
        items = value.removeprefix("Digest ").replace('"', "").split(", ")
        return sorted(i for i in items if not i.startswith(("cnonce", "response")))
    return re.sub(r"boundary=\S+", "boundary", value)


def without_boundary(body):
    """A multipart body; nor with the types that hpool guesses from names."""
    body = re.sub("--[0-9a-f]{32}", "--boundary", body)
    guessed = "text/x-python|text/csv|application/octet-stream"
    return re.sub(f"Content-Type: ({guessed})\r\n", "", body)


def plain(value, url):
    """Without the server's address, and in the types of everyday."""
    if isinstance(value, str):
        return value.replace(url, "<url>")
    if isinstance(value, dict) and value.keys() >= {"cookie", "target"}:
        return {**value, "cookie": sorted((value["cookie"] or "").split("; "))}
    if isinstance(value, dict):
        return {k: plain(v, url) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, url) for v in value]
    return value


def both(server, function):
    """What requests sends and gets, and what hpool does."""
    return run(function, requests, server), run(function, hpool, server)
