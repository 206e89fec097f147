"""Content codings: good, broken, cut, chained, and bombs."""

import subprocess
import sys
from base64 import b64decode

import pytest

import hpool
from tests.corpus.rows import rows
from tests.server.scripted import bytewise, respond

MIB = 1 << 20


def is_bomb(row):
    return row["max_out"] is not None


def answer(row):
    headers = {"Content-Encoding": row["content_encoding"]}
    return respond(b64decode(row["payload_b64"]), row["status"], headers)


def at_once(data):
    return [data]


# In a process of its own, because what is asked for is the most memory that
# this process has ever held.
READ_A_LITTLE = """
import resource, sys
import hpool

def highest():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

url = sys.argv[1]
with hpool.Client() as client:
    with client.get(url + "/next") as response:
        response.read()  # what a first request needs in any case
    before = highest()
    with client.get(url + "/row") as response:
        assert response.read(1024) == bytes(1024)
    print(highest() - before)
"""


def script(row, cut=at_once):
    """/row is answered with the row, everything else with a word."""

    def play(connection):
        while request := connection.request(patient=True):
            if request.target == "/row":
                connection.send(*cut(answer(row)))
            else:
                connection.send(respond(b"next"))

    return play


def ask(client, server, row):
    return client.request(row["request_method"], f"{server.url}/row")


def read_at_once(response):
    return response.content


def read_by_seven(response):
    return b"".join(iter(lambda: response.read(7), b""))


@pytest.mark.parametrize("read", [read_at_once, read_by_seven])
@pytest.mark.parametrize("cut", [at_once, bytewise])
@pytest.mark.parametrize("row", rows("codings.jsonl", lambda row: not is_bomb(row)))
def test_coding(server, row, cut, read):
    s = server(script(row, cut))
    with hpool.Client() as client:
        try:
            with ask(client, s, row) as response:
                got = read(response)
        except hpool.ContentDecodingError as error:
            assert row["expect"] != "ok", error
        else:
            assert row["expect"] != "error"
            assert got == b64decode(row["decoded_b64"])
        # Whatever came of it, the next request gets its own answer.
        with client.get(f"{s.url}/next") as response:
            assert response.content == b"next"
        if row["expect"] == "ok":
            assert len(s.connections) == 1


@pytest.mark.parametrize("row", rows("codings.jsonl", is_bomb))
def test_a_bomb_is_whole_without_a_cap(server, row):
    s = server(script(row))
    with hpool.Client() as client, ask(client, s, row) as response:
        assert response.read(1024) == bytes(1024)
        assert response.read() == bytes(row["max_out"] - 1024)


@pytest.mark.parametrize("row", rows("codings.jsonl", is_bomb))
def test_a_bomb_stops_at_a_cap(server, row):
    s = server(script(row))
    with hpool.Client(max_decoded_size=MIB) as client:
        with ask(client, s, row) as response:
            with pytest.raises(hpool.BodyTooLarge):
                response.read()


@pytest.mark.parametrize("row", rows("codings.jsonl", is_bomb))
def test_a_bomb_takes_no_memory_that_nobody_asked_for(server, row):
    s = server(script(row))
    command = [sys.executable, "-c", READ_A_LITTLE, s.url]
    assert int(subprocess.check_output(command, timeout=30)) < MIB
