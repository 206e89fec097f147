"""What three parsers make of a case. A reading is (status, headers, body) of
the final response if it is complete, else None."""

import re
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

import h11
import httptools

ROOT = Path(__file__).parent.parent.parent
PROGRAM = "build/c/asan/read_responses"

# Parsers may write these in other words: "5, 5" as "5".
NORMALISED = {b"content-length", b"transfer-encoding"}


class Case(NamedTuple):
    data: bytes
    head: bool = False  # the request's method is HEAD, not GET
    close: bool = True  # the server closes behind the data


class Reading(NamedTuple):
    status: int
    headers: tuple
    body: bytes


def plain(headers):
    """Names in lower case, white space and folds as one space."""
    out = []
    for name, value in headers:
        if name.lower() not in NORMALISED:
            out.append((name.lower(), re.sub(rb"[ \t\r\n]+", b" ", value).strip(b" ")))
    return tuple(out)


# ---- hpool ----


def build():
    subprocess.run(["make", "-s", PROGRAM], cwd=ROOT, check=True)


def pack(case):
    return struct.pack("<BBI", case.head, case.close, len(case.data)) + case.data


def unpack(out):
    """(reading, error) for each case."""
    at = 0
    while at < len(out):
        complete, status = struct.unpack_from("<BI", out, at)
        at += 5
        parts = []
        for _ in range(3):
            (n,) = struct.unpack_from("<I", out, at)
            parts.append(out[at + 4 : at + 4 + n])
            at += 4 + n
        fields, body, error = parts
        lines = [line.split(b":", 1) for line in fields.split(b"\r\n") if line]
        reading = Reading(status, plain(lines), body) if complete else None
        yield reading, error.decode("latin-1")


def hpool(cases):
    done = subprocess.run(
        [ROOT / PROGRAM],
        input=b"".join(map(pack, cases)),
        stdout=subprocess.PIPE,
        check=True,
    )
    readings = list(unpack(done.stdout))
    assert len(readings) == len(cases)
    return readings


# ---- h11 ----


def h11_events(connection):
    while True:
        event = connection.next_event()
        if event in (h11.NEED_DATA, h11.PAUSED):
            return
        yield event
        if isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            return


def read_h11(case):
    connection = h11.Connection(h11.CLIENT)
    method = "HEAD" if case.head else "GET"
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
    connection.send(h11.EndOfMessage())
    final, body = None, []
    try:
        for data in [case.data, b""] if case.close else [case.data]:
            connection.receive_data(data)
            for event in h11_events(connection):
                if isinstance(event, h11.Response):
                    final = event
                elif isinstance(event, h11.Data):
                    body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    headers = plain(final.headers.raw_items())
                    return Reading(final.status_code, headers, b"".join(body))
    except h11.RemoteProtocolError:
        pass
    return None


# ---- httptools ----


class Llhttp:
    """Callbacks, up to the end of the first message that is no interim one."""

    def __init__(self, head):
        self.head = head  # nothing follows a final head
        self.parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self):
        self.status, self.headers, self.body = None, [], []
        self.ended = False

    def on_message_begin(self):
        if not self.ended:
            self.begin()

    def on_header(self, name, value):
        if not self.ended and self.status is None:  # else it is a trailer
            self.headers.append((name, value))

    def on_headers_complete(self):
        if not self.ended:
            self.status = self.parser.get_status_code()
            self.ended = self.head and self.status >= 200

    def on_body(self, data):
        if not self.ended:
            self.body.append(data)

    def on_message_complete(self):
        if self.status is not None and self.status >= 200:
            self.ended = True

    def until_close(self):
        """It cannot be told that the connection has ended."""
        names = {name.lower() for name, _ in self.headers}
        codings = b",".join(v for n, v in self.headers if n.lower() == b"transfer-encoding")
        chunked = codings.lower().rstrip(b" \t").endswith(b"chunked")
        return self.status is not None and not chunked and b"content-length" not in names


def read_httptools(case):
    reader = Llhttp(case.head)
    try:
        reader.parser.feed_data(case.data)
        if case.close and not reader.ended and reader.until_close():
            reader.on_message_complete()
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        pass
    if not reader.ended:
        return None
    return Reading(reader.status, plain(reader.headers), b"".join(reader.body))
