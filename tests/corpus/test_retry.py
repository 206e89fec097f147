"""When a request is sent again: a table, row by row, over the scripted server.

Each row has a scenario of its own name below. A scenario gives back how many
requests reached the server for the one that is judged, and the error or None.
"""

import io
import threading

import pytest

import hpool
from tests.corpus.rows import rows
from tests.server.scripted import close, expect, reset, respond, send

TIMEOUT = hpool.Timeout(connect=5, read=5, response_header=5)
WARM = [expect(), send(respond(b"warm"))]
AGAIN = [expect(), send(respond(b"again"))]
SCENARIOS = {}


def scenario(*ids):
    def register(function):
        SCENARIOS.update(dict.fromkeys(ids, function))
        return function

    return register


def warm(client, server):
    """One request, after which its connection is idle."""
    with client.get(f"{server.url}/warm") as response:
        assert response.read() == b"warm"


def outcome(call):
    """The error of the call and its body, or None if it worked."""
    try:
        with call() as response:
            assert response.read() == b"again"
    except hpool.RequestException as error:
        return error
    return None


def sent(server):
    return sum(request.target == "/judged" for request in server.requests)


def ask(client, server, row, **how):
    body = b"body" if row["body"] == "bytes" else None
    how = {"data": body, "headers": row.get("headers"), **how}
    return outcome(lambda: client.request(row["method"], f"{server.url}/judged", **how))


@scenario("rt-00", "rt-03", "rt-04", "rt-06")
def eof_before_the_first_byte(server, client, row):
    s = server([*WARM, expect(), close()], AGAIN)
    warm(client, s)
    return s, ask(client, s, row)


@scenario("rt-01")
def reset_before_the_first_byte(server, client, row):
    s = server([*WARM, expect(), reset()], AGAIN)
    warm(client, s)
    return s, ask(client, s, row)


@scenario("rt-07")
def closed_while_idle(server, client, row):
    s = server([*WARM, reset()], AGAIN)
    warm(client, s)
    s.connections[0].wait_ended()
    error = ask(client, s, row)
    assert s.requests[-1].body == b"body"
    return s, error


@scenario("rt-09")
def reset_under_a_one_shot_body(server, client, row):
    def body():
        yield b"first"
        s.connections[0].wait_ended()
        while True:  # the kernel takes some before it says EPIPE
            yield bytes(65536)

    s = server([*WARM, expect(body=False), reset()], AGAIN)
    warm(client, s)
    return s, ask(client, s, row, data=body())


@scenario("rt-10")
def closed_under_a_seekable_file(server, client, row):
    file = io.BytesIO(b"skipped body")
    file.seek(8)
    s = server([*WARM, reset()], AGAIN)
    warm(client, s)
    s.connections[0].wait_ended()
    error = ask(client, s, row, data=file)
    assert s.requests[-1].body == b"body"  # from where the caller left it
    return s, error


@scenario("rt-12")
def eof_in_the_body(server, client, row):
    cut = respond(b"again")[:-2]
    s = server([*WARM, expect(), send(cut), close()], AGAIN)
    warm(client, s)
    return s, ask(client, s, row)


@scenario("rt-13")
def malformed_head(server, client, row):
    s = server([*WARM, expect(), send(b"RUBBISH\r\n\r\n"), close()], AGAIN)
    warm(client, s)
    return s, ask(client, s, row)


@scenario("rt-15")
def slow_is_not_stale(server, client, row):
    s = server([*WARM, expect(), lambda connection: connection.wait_closed()], AGAIN)
    warm(client, s)
    return s, ask(client, s, row, timeout=(5, 0.1))


@scenario("rt-16")
def a_fresh_connection_fails(server, client, row):
    s = server([expect(), close()], AGAIN)
    return s, ask(client, s, row)


def make_idle(client, server, go, n):
    """n connections that are idle at the same time: each answer is held until
    all have been asked for."""
    held = [client.get(f"{server.url}/warm") for _ in range(n)]
    go.set()
    for response in held:
        assert response.read() == b"warm"
        response.close()


def five_then(go, last):
    """A script: five connections that close at their second request, if it
    comes, and then the last one."""
    body = respond(b"warm")

    def play(connection):
        if connection.number > 5:
            return last(connection)
        connection.expect()
        connection.send(body[:-4], go, body[-4:])
        if connection.request():
            connection.close()

    return play


def good_at_last(connection):
    connection.expect()
    connection.send(respond(b"again"))


def bad_at_last(connection):
    connection.expect()
    connection.close()


@scenario("rt-18")
def five_stale_connections(server, client, row):
    go = threading.Event()
    s = server(five_then(go, good_at_last))
    make_idle(client, s, go, 5)
    error = ask(client, s, row)
    assert len(s.connections) == 6
    return s, error


def test_the_failure_of_a_fresh_connection_is_final(server):
    go = threading.Event()
    s = server(five_then(go, bad_at_last))
    with hpool.Client(timeout=TIMEOUT) as client:
        make_idle(client, s, go, 5)
        assert ask(client, s, {"method": "GET", "body": None}) is not None
        assert len(s.connections) == 6


@scenario("rt-19")
def eof_after_the_deadline(server, client, row):
    late = threading.Event()
    s = server([*WARM, expect(), lambda c: c.wait(late), close()], AGAIN)
    warm(client, s)
    error = ask(client, s, row, timeout=hpool.Timeout(total=0.1))
    late.set()
    assert isinstance(error, hpool.TotalTimeout)
    return s, error


@scenario("rt-21")
def eof_before_100_continue(server, client, row):
    s = server([*WARM, expect(body=False), close()], AGAIN)
    warm(client, s)
    return s, ask(client, s, row, headers={"Expect": "100-continue"})


@pytest.mark.parametrize("row", rows("retry.jsonl"))
def test_retry(server, row):
    with hpool.Client(timeout=TIMEOUT) as client:
        s, error = SCENARIOS[row["id"]](server, client, row)
        if row["retry"] is True:
            assert error is None
        elif row["retry"] is False:
            assert error is not None
            assert sent(s) == 1
        else:  # free; but what is reported is what happened
            assert sent(s) == (2 if error is None else 1)
