"""The inputs that fuzzing starts from, made of tests/corpus, and a dictionary
for each target.

    python3 tests/fuzz/seeds.py OUT

writes OUT/<target>/<name> and OUT/<target>.dict. Each target's file says how
its inputs are laid out; here is how exchange_fuzz.c reads a plan:

    one byte    how many requests, less one (0..3), | 4 one connection per
                host, 8 no drains, 16 max_header_bytes of 1024, 32 an EOF behind
                the last event, 64 the longest idle connection first
    two bytes   for each request:
                kind (0 GET, 1 HEAD, 2 POST, 3 POST of pieces, 4 chunked POST,
                5 PUT with Expect, 6 CONNECT, 7 GET with Upgrade), | 8 closed
                in the body, 16 left open while the others go on, 24 closed
                in the head, 32 decode, 64 Connection: close, 128 idempotent;
                size of reads (0..7), | 8 traced, 16 no replay, 32 rewindable
                (and an upgraded connection is taken over),
                64 max_size=100, 128 pieces that belie their length
    a byte n    for each connection, and then n events: a byte, and one more
                with the lower part of the length if there is one; what the
                numbers mean stands in plan_event
"""

import base64
import gzip
import json
import re
import sys
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "corpus"
INPUT_MAX = 8192  # longer rows are about limits, which have tests of their own

CODINGS = [
    "gzip",
    "deflate",
    "br",
    "zstd",
    "gzip, gzip",
    "deflate, br",
    "zstd, gzip",
    "br, zstd, gzip",
]
METHODS = {"GET": 0, "HEAD": 1, "POST": 2, "CONNECT": 6}
BODY_FLAGS = {"HEAD": 1, "CONNECT": 2}
AGAIN = 1
EOF = 4
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

HTTP_WORDS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n",
    b"HTTP/1.1 204 \r\n",
    b"HTTP/1.1 304 \r\n",
    b"HTTP/1.1 101 \r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\n",
    b"Content-Length: ",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: ",
    b"chunked",
    b"identity",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"Keep-Alive: timeout=5, max=0\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: ",
    b"Set-Cookie: a=b\r\n",
    b"Location: /\r\n",
    b"Trailer: X\r\n",
    b", ",
    b": ",
    b"9223372036854775807",
    b"18446744073709551616",
]
CHUNK_WORDS = [
    b"0\r\n\r\n",
    b"0\r\n",
    b"1\r\nx\r\n",
    b"ffffffffffffffff\r\n",
    b"8000000000000000\r\n",
    b";a=b\r\n",
    b';a="b"\r\n',
    b" \t;",
    b"X: y\r\n",
]
URL_WORDS = [
    b"http://",
    b"https://",
    b"HTTP://",
    b"[::1]",
    b"[fe80::1%25eth0]",
    b"[::ffff:1.2.3.4]",
    b"127.0.0.1",
    b"0x7f.1",
    b"user:pass@",
    b":443",
    b":80",
    b":65536",
    b"%2f",
    b"%25",
    b"%",
    b"//",
    b"/../",
    b"?",
    b"#",
    b"\\",
    b"@",
    b"xn--",
    b"..",
    "ä".encode(),
]
REQUEST_WORDS = [
    b"\xff",
    b"GET",
    b"POST",
    b"CONNECT",
    b"Host",
    b"Content-Length",
    b"Transfer-Encoding",
    b"chunked",
    b"Connection",
    b"close",
    b"upgrade",
    b"Upgrade",
    b"Expect",
    b"100-continue",
    b"User-Agent",
    b"Idempotency-Key",
    b"\r\n",
    b"example.com:443",
]
DICTIONARIES = {
    "head": HTTP_WORDS,
    "chunked": CHUNK_WORDS,
    "body": HTTP_WORDS + CHUNK_WORDS,
    "url": URL_WORDS,
    "request": REQUEST_WORDS,
    "coding": [b"\x1f\x8b\x08", b"\x78\x9c", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"],
    "tunnel": [
        *HTTP_WORDS,
        b"HTTP/1.1 407 \r\nProxy-Authenticate: Basic\r\n",
        b"\x05\x00",
        b"\x05\x02",
        b"\x01\x00",
        b"\x05\x00\x00\x01",
        b"\x05\x00\x00\x03",
        b"\x05\x00\x00\x04",
    ],
    "exchange": HTTP_WORDS + CHUNK_WORDS,
}


def rows(name):
    with open(CORPUS / f"{name}.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def responses():
    for row in rows("responses"):
        data = base64.b64decode(row["bytes_b64"])
        if len(data) <= INPUT_MAX:
            yield row, data


def events(*list_):
    return bytes([len(list_), *list_])


def plan(global_, requests, *conns):
    text = bytes([len(requests) - 1 | global_])
    for request in requests:
        text += bytes(request)
    text += b"".join(conns)
    return text + bytes([len(text)])


def data_event(n):
    return [n // 256 << 4, n % 256]


def conn(*parts):
    """Numbers are events, bytes are data."""
    n, text = 0, b""
    for part in parts:
        n += 1
        text += bytes(data_event(len(part)) if isinstance(part, bytes) else [part])
    return bytes([n]) + text


def exchange(row, data):
    kind = METHODS.get(row["request_method"], 0)
    end = [EOF] if row["then"] == "close" else []
    both = [(kind, 5), (0, 5)]
    half = len(data) // 2
    if len(data) < 4000:
        yield "", data + OK + plan(0, both, conn(data, *end), conn(OK))
        cut = conn(data[:half], AGAIN, data[half:], *end, AGAIN, OK)
        yield "-cut", data + OK + plan(0, both, cut)
    open_ = [(kind | 16, 3), (0, 3)]
    yield "-open", data + plan(32 if end else 0, open_)


def framed_exchanges():
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    gz = base64.b64decode(rows("codings")[0]["payload_b64"])
    coded = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    coded = coded % len(gz) + gz
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"
    for kind in range(8):
        for how in (0, 8, 16, 24):
            both = [(kind | how, 2), (0, 2)]
            data = interim + chunked + OK
            one = conn(interim, AGAIN, chunked, AGAIN, OK)
            yield f"kind{kind}-how{how}", data + plan(4, both, one)
            early = conn(chunked, 7, 3, 8, 8, AGAIN, OK)
            yield f"early{kind}-how{how}", chunked + OK + plan(0, both, early)
        lost = conn(OK, AGAIN, AGAIN, EOF), conn(OK, AGAIN, OK)
        again = [(0, 2), (kind, 2 | 32), (kind | 128, 2 | 32)]
        yield f"lost{kind}", OK * 3 + plan(0, again, *lost)
    for kind, head in ((6, OK[:17]), (7, b"HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: x\r\n")):
        data = head + b"\r\nbytes of another protocol"
        yield f"switched{kind}", data + OK + plan(0, [(kind, 32), (0, 2)], conn(data), conn(OK))
    last = OK.replace(b"Content", b"Keep-Alive: timeout=5, max=0\r\nContent")
    twice = [(0, 2), (0, 2)]
    yield "last", last + OK + plan(0, twice, conn(last, AGAIN, OK), conn(OK))
    yield "coded", coded + OK + plan(0, [(32, 1), (0, 1)], conn(coded, AGAIN, OK))


def tunnel():
    yes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    no = b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"
    for then in range(4):
        for which in (0, 1):
            yield bytes([then, which]), (yes, no, yes + b"x", b"HTTP/1.1 100 \r\n\r\n" + yes)
        name = b"\x05\x00\x00\x03\x04host\x01\xbb"
        v4 = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x01\xbb"
        v6 = b"\x05\x00\x00\x04" + bytes(16) + b"\x01\xbb"
        for which in (2, 3, 4):
            answers = [b"\x05\x00" + reply for reply in (name, v4, v6)]
            answers += [b"\x05\x02\x01\x00" + reply for reply in (name, v4, v6)]
            answers += [b"\x05\xff", b"\x05\x02\x01\x01", b"\x05\x00\x05\x05"]
            yield bytes([then, which]), answers


def codings():
    """(name, coding, payload): of the corpus, and what coding_test.c has."""
    for row in rows("codings"):
        coding = row["content_encoding"].lower().replace("x-gzip", "gzip")
        yield row["id"], coding, base64.b64decode(row["payload_b64"])
    text = Path(__file__).parent.parent.joinpath("c", "coding_test.c").read_text()
    found = re.findall(r'char (br|zstd)_(\w+)\[\] =((?:\s*"[0-9a-f]+")+);', text)
    for coding, name, digits in found:
        payload = bytes.fromhex("".join(re.findall("[0-9a-f]+", digits)))
        yield f"{coding}-{name}", coding, payload
        if coding == "zstd":
            yield f"{name}-in-gzip", "zstd, gzip", gzip.compress(payload, mtime=0)


def seeds():
    """(target, name, input)"""
    for row, data in responses():
        name = row["id"]
        flags = BODY_FLAGS.get(row["request_method"], 0)
        flags |= 8 if row["then"] == "close" else 0
        head = data.find(b"\r\n\r\n") + 4
        yield "head", name, data[:head] if head > 3 else data
        yield "body", name, data + bytes([flags])
        if b"chunked" in data and head > 3:
            yield "chunked", name, data[head:]
        for suffix, input_ in exchange(row, data):
            yield "exchange", name + suffix, input_
    for name, input_ in framed_exchanges():
        yield "exchange", name, input_
    for name, coding, payload in codings():
        if coding in CODINGS and len(payload) <= INPUT_MAX:
            yield "coding", name, bytes([CODINGS.index(coding)]) + payload
    for row in rows("redirects"):
        for i, url in enumerate([row.get("first", ""), *row.get("then", [])]):
            yield "url", f"{row['id']}-{i}", url.encode()
    for row in rows("injection"):
        value = row["value"].encode("utf-8", "surrogateescape")
        parts = {"method": b"GET", "target": b"/", "host": b"h", "n": b"X", "v": b"y"}
        for where in parts:
            filled = {**parts, where: value}
            yield "request", f"{row['id']}-{where}", b"\xff".join(filled.values()) + b"\0"
        yield "url", row["id"], value if b"://" in value else b"http://h/" + value
    for i, (framing, kind) in enumerate(
        [(b"Content-Length\xff12", 3), (b"Transfer-Encoding\xffchunked", 1), (b"A\xffb", 2)]
    ):
        yield "request", f"framed-{i}", b"POST\xff/\xffh\xff" + framing + bytes([kind])
    for tail, answers in tunnel():
        for i, answer in enumerate(answers):
            yield "tunnel", f"{tail[1]}-{tail[0]}-{i}", answer + tail


def quoted(word):
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def main(out):
    for target, words in DICTIONARIES.items():
        folder = Path(out, target)
        folder.mkdir(parents=True, exist_ok=True)
        Path(out, f"{target}.dict").write_text("".join(map(quoted, words)))
    for target, name, data in seeds():
        Path(out, target, name.replace("/", "_")).write_bytes(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
