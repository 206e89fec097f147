"""Memory that runs out, that is looked after, and that nothing may keep."""

import importlib.util
from pathlib import Path

import pytest

from tests.life.child import run
from tests.server.scripted import ScriptError, respond, respond_chunked

PROGRAM = Path(__file__).with_name("memory_program.py")
BODY = b"0123456789" * 200
ANSWERS = {
    "/ok": respond(BODY, headers={"ETag": "x"}),
    "/json": respond(
        '{"a": [1, "é"]}'.encode(), headers={"Content-Type": "application/json"}
    ),
    "/chunked": respond_chunked(BODY[:5], BODY[5:]),
    "/redirect": respond(b"", 302, {"Location": "/ok"}),
    "/round": respond(b"", 302, {"Location": "/round"}),
    "/404": respond(b"none", 404),
    "/bad": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "/half": respond(b"half", headers={"Content-Length": 9}),
    "/badchunk": respond(b"zz\r\n", headers={"Transfer-Encoding": "chunked"}),
    "/notgzip": respond(b"no gzip at all", headers={"Content-Encoding": "gzip"}),
}
CLOSED_AFTER = ("/bad", "/half", "/badchunk")


def script(connection):
    """Answers by the path, until the client closes or one of them ends it."""
    while (request := connection.request(patient=True)) is not None:
        path = request.target.partition("?")[0]
        if path == "/hang":
            return connection.until_closed()
        if path in ANSWERS:
            connection.send(ANSWERS[path])
        if path not in ANSWERS or path in CLOSED_AFTER:
            return connection.close()


def patient_script(connection):
    """The same for a client that may break off in the middle of a request."""
    try:
        script(connection)
    except ScriptError:
        connection.close()


def memory_program(url, mode, **more):
    return run(PROGRAM, mode, url, seconds=120, **more)


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None, reason="no _testcapi here"
)
def test_the_interpreter_has_no_memory(server):
    """MemoryError, whichever of the interpreter's allocations fails, or the result;
    never a crash or a SystemError; and the next request works."""
    memory_program(server(patient_script).url, "nomemory")


def test_the_interpreter_looks_after_its_memory(server):
    """The same uses, with bytes around every block that tell who writes beyond it."""
    memory_program(server(script).url, "once", PYTHONMALLOC="debug")


def test_nothing_grows(server):
    """Each use, and each way to fail, many times over: neither blocks nor objects
    become more with every time."""
    memory_program(server(script).url, "blocks")
