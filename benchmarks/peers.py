"""The measured ones, each a process of its own that does its thing when asked.

    python peers.py NAME PORT

reads counts from stdin, one a line, and prints the nanoseconds that each of as
many turns took, as limit.c does. Before that everybody proves once, unmeasured,
that it reads the right bytes.
"""

import io
import socket
import sys
import time

BIG = 100 * 1000 * 1000
BUFFER = 1 << 20
SMALL = b"Hello, world!"
PERIOD = bytes(range(251))


class Checker:
    """Compares a body that comes in pieces: byte i is i % 251."""

    def __init__(self):
        self.at = 0
        self.pattern = PERIOD * (BUFFER // len(PERIOD) + 2)

    def __call__(self, piece):
        start = self.at % len(PERIOD)
        assert piece == self.pattern[start : start + len(piece)], "a wrong byte"
        self.at += len(piece)


def nothing(piece):
    """In place of a Checker, when time is taken."""


def hpool_get(port):
    import hpool

    client, url = hpool.Client(), f"http://127.0.0.1:{port}/small"

    def turn():
        with client.get(url) as response:
            body = response.content
        assert body == SMALL and response.status_code == 200

    return turn


def pycurl_get(port):
    import pycurl

    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, f"http://127.0.0.1:{port}/small")

    def turn():
        body = io.BytesIO()
        curl.setopt(pycurl.WRITEDATA, body)
        curl.perform()
        assert body.getvalue() == SMALL
        assert curl.getinfo(pycurl.RESPONSE_CODE) == 200

    return turn


def hpool_client(port):
    import hpool

    def turn():
        hpool.Client().close()

    return turn


def hpool_big(port):
    import hpool

    url, buffer = f"http://127.0.0.1:{port}/bytes/{BIG}", bytearray(BUFFER)
    view = memoryview(buffer)

    def turn(check=nothing):
        total = 0
        with hpool.Client() as client, client.get(url) as response:
            readinto = response.readinto
            while n := readinto(view):
                check(view[:n])
                total += n
        assert total == BIG

    turn(Checker())
    return turn


def raw_big(port):
    """The least that Python can do: recv_into on a blocking socket."""
    request = b"GET /bytes/%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (BIG, port)
    buffer = bytearray(BUFFER)
    view = memoryview(buffer)

    def turn(check=nothing):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(request)
            n = sock.recv_into(view)
            start = buffer.index(b"\r\n\r\n") + 4
            check(view[start:n])
            total = n - start
            recv_into = sock.recv_into
            while total < BIG:
                n = recv_into(view)
                check(view[:n])
                total += n
        assert total == BIG

    turn(Checker())
    return turn


PEERS = {
    name.__name__: name
    for name in (hpool_get, pycurl_get, hpool_client, hpool_big, raw_big)
}


def main(name, port):
    turn = PEERS[name](port)
    turn()
    for line in sys.stdin:
        count = int(line)
        begin = time.perf_counter_ns()
        for _ in range(count):
            turn()
        taken = time.perf_counter_ns() - begin
        print(f"{taken / count:.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
