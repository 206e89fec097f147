"""Responses to differ over: the corpus, mutations of it, and responses made of
parts that servers and attackers send. The same seed gives the same cases."""

import base64
import json
import random
from pathlib import Path

from .readers import Case

CORPUS = Path(__file__).parent.parent / "corpus" / "responses.jsonl"
LONGEST = 4096

VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0"] * 3 + [b"HTTP/1.2", b"HTTP/2.0", b"http/1.1"]
SPACES = [b" "] * 12 + [b"  ", b"\t", b"", b" \t"]
STATUSES = [b"200"] * 10 + [b"204", b"304", b"100", b"103", b"101", b"404", b"999", b"099", b"1000"]
REASONS = [b" OK"] * 8 + [b"", b" ", b" \xe4", b" a\tb", b" \x01", b"  OK "]
ENDS = [b"\r\n"] * 40 + [b"\n", b"\r", b"\r\r\n", b"\r\n\r\n"]
NAMES = [
    b"Content-Length",
    b"Transfer-Encoding",
    b"Connection",
    b"X",
    b"Content-Type",
    b"content-length",
    b"TRANSFER-ENCODING",
    b"Keep-Alive",
    b"Trailer",
    b"Upgrade",
]
STRANGE_NAMES = [b"", b"A B", b"A\x00", b"Content-Length ", b" X", b"\xc3\xa4", b"X\t", b"(X)"]
COLONS = [b": "] * 12 + [b":", b" : ", b":\t", b": \t ", b":\r\n ", b""]
VALUES = {
    b"content-length": [b"5"] * 6
    + [b"0", b"3", b"+5", b"-1", b"5, 5", b"5,6", b"05", b"0x5", b"5 ", b"", b"5\x0b", b"4 4"]
    + [b"99999999999999999999", b"5;a", b"5,", b",5"],
    b"transfer-encoding": [b"chunked"] * 6
    + [b"Chunked", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked"]
    + [b"", b"chunked;q=1", b"xchunked", b'"chunked"', b"chunked,", b",chunked", b"\x0bchunked"],
    b"connection": [b"close", b"keep-alive", b"upgrade", b"Close, x", b""],
}
PLAIN_VALUES = [b"y", b"", b"a b", b"a\tb", b"\x80\xff", b"a\x00b", b"a\x01b", b"a\x7f", b"a\r\n b"]
CHUNK_SIZES = [b"5"] * 8 + [b"05", b"0005", b"5 ", b"5;a", b'5;a="b"', b"5\t", b" 5", b"+5", b"0x5"]
CHUNK_SIZES += [b"", b"g", b"5;a\x00", b"ffffffffffffffff", b"00000000000000005", b"5 ;a"]
LAST_CHUNKS = [b"0\r\n\r\n"] * 8 + [b"0\r\nX: y\r\n\r\n", b"00\r\n\r\n", b"0;a\r\n\r\n", b"0\n\n"]
LAST_CHUNKS += [b"0\r\n", b"", b"0\r\nX\r\n\r\n", b"0\r\n X: y\r\n\r\n", b"0\r\nX : y\r\n\r\n"]
TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"\x00",
    b"\x0b",
    b"0",
    b"5",
    b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 6\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
]


def corpus():
    with open(CORPUS, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            data = base64.b64decode(row["bytes_b64"])
            if row["request_method"] in ("GET", "HEAD") and len(data) <= LONGEST:
                yield Case(data, row["request_method"] == "HEAD", row["then"] == "close")


# ---- made of parts ----


def field(rng):
    name = rng.choice(NAMES if rng.random() < 0.95 else STRANGE_NAMES)
    values = VALUES.get(name.lower(), PLAIN_VALUES)
    return name + rng.choice(COLONS) + rng.choice(values) + rng.choice(ENDS)


def chunked(rng):
    body = b""
    for _ in range(rng.randrange(3)):
        body += rng.choice(CHUNK_SIZES) + rng.choice(ENDS) + b"hello" + rng.choice(ENDS)
    return body + rng.choice(LAST_CHUNKS)


def made(rng):
    data = b"\r\n" * (rng.random() < 0.03)
    while True:
        status = rng.choice(STATUSES)
        data += rng.choice(VERSIONS) + rng.choice(SPACES) + status
        data += rng.choice(REASONS) + rng.choice(ENDS)
        for _ in range(rng.randrange(4)):
            data += field(rng)
        data += rng.choice(ENDS)
        if not status.startswith(b"1") or rng.random() < 0.2:
            break
    tail = rng.choice([b"", b"", b"x", b"HTTP/1.1 200 OK\r\n\r\n"])
    body = chunked(rng) if rng.random() < 0.6 else b"hello"
    return Case(data + body + tail, rng.random() < 0.1, rng.random() < 0.7)


# ---- mutated ----


def replace_byte(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def insert(rng, data):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def delete(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randrange(1, 5) :]


def double(rng, data):
    at = rng.randrange(len(data))
    end = at + rng.randrange(1, 40)
    return data[:end] + data[at:]


def swap_lines(rng, data):
    lines = data.split(b"\r\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"\r\n".join(lines)


def cut(rng, data):
    return data[: rng.randrange(1, len(data) + 1)]


MUTATIONS = [replace_byte, insert, insert, delete, double, swap_lines, cut]


def splice(rng, one, other):
    a, b = one.split(b"\r\n"), other.split(b"\r\n")
    at = rng.randrange(len(a))
    return b"\r\n".join(a[:at] + b[rng.randrange(len(b)) :])


def mutated(rng, rows):
    row = rng.choice(rows)
    data = row.data
    if rng.random() < 0.1:
        data = splice(rng, data, rng.choice(rows).data)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5])):
        if data:
            data = rng.choice(MUTATIONS)(rng, data)[:LONGEST]
    close = row.close if rng.random() < 0.8 else not row.close
    return Case(data, row.head, close)


def cases(seed, n):
    """The corpus, then n more."""
    rng = random.Random(seed)
    rows = list(corpus())
    yield from rows
    for _ in range(n):
        yield made(rng) if rng.random() < 0.5 else mutated(rng, rows)
