"""data=, json= and content=: what goes out, beside what requests would send."""

import io
import json
from collections import OrderedDict, UserDict

import pytest

import hpool
from tests.server.scripted import respond, serve

requests = pytest.importorskip("requests")

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(params=["by C", "by policy"])
def sent(request, server, new_client):
    """sent(method, **arguments) -> the request that a server got. A call that needs
    more than one plain request is put together elsewhere, and comes out the same."""
    s = server([serve(respond(b""))])
    client = new_client()
    more = {"by C": {}, "by policy": {"cookies": {"a": "b"}}}[request.param]

    def sent(method="POST", **arguments):
        client.request(method, s.url, **arguments, **more).read()
        return s.connections[0].requests[-1]

    return sent


def theirs(method="POST", **arguments):
    return requests.Request(method, "http://a.test/", **arguments).prepare()


def whole(body):
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes):
        return body
    return body.read() if hasattr(body, "read") else b"".join(body)


FRAMING = ("Content-Type", "Content-Length", "Transfer-Encoding")


def named(name, content):
    file = io.BytesIO(content)
    file.name = name
    return file


# Made anew for each of the two: files and generators are gone after one.
BODIES = {
    "nothing": lambda: {},
    "no data": lambda: {"data": None},
    "bytes": lambda: {"data": b"\x00\xff"},
    "str": lambda: {"data": "grün"},
    "empty bytes": lambda: {"data": b""},
    "empty str": lambda: {"data": ""},
    "dict": lambda: {"data": {"a": "1", "b c": "ü&=+/~"}},
    "ordered dict": lambda: {"data": OrderedDict([("z", 1), ("a", 2)])},
    "empty dict": lambda: {"data": {}},
    "dict of lists": lambda: {"data": {"a": ["1", 2, None], "b": ("x",), "c": []}},
    "dict with None": lambda: {"data": {"a": None, "b": "x"}},
    "numbers": lambda: {"data": {1: 2.5, "t": True}},
    "bytes in a form": lambda: {"data": {b"k": b"\xff"}},
    "pairs": lambda: {"data": [("a", "1"), ("a", "2"), ("b", None)]},
    "a tuple of pairs": lambda: {"data": (("a", "1"), ("b", "2"))},
    "empty list": lambda: {"data": []},
    "file": lambda: {"data": io.BytesIO(b"0123456789")},
    "generator": lambda: {"data": (piece for piece in [b"one", b"two"])},
    "iterator": lambda: {"data": iter([b"one", b"two"])},
    "json dict": lambda: {"json": {"a": [1, None, "ü"]}},
    "json list": lambda: {"json": []},
    "json empty": lambda: {"json": {}},
    "json zero": lambda: {"json": 0},
    "json false": lambda: {"json": False},
    "json empty str": lambda: {"json": ""},
    "json none": lambda: {"json": None},
    "json and empty data": lambda: {"json": {"a": 1}, "data": {}},
    "json and no pairs": lambda: {"json": {"a": 1}, "data": []},
    "own type": lambda: {"data": {"a": "b"}, "headers": {"content-type": "x/y"}},
    "own json type": lambda: {"json": {}, "headers": {"Content-Type": "x/y"}},
    "empty files": lambda: {"data": {"a": "b"}, "files": {}},
    "no files": lambda: {"data": {"a": "b"}, "files": None},
}


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
@pytest.mark.parametrize("name", BODIES)
def test_as_requests_sends_it(sent, name, method):
    """The same bytes, type and framing; JSON is the same value, compact."""
    ours, prepared = sent(method, **BODIES[name]()), theirs(method, **BODIES[name]())
    body = whole(prepared.body)
    own_json = "json" in BODIES[name]() and body
    if own_json:
        assert json.loads(ours.body) == json.loads(body)
    else:
        assert ours.body == body
    expected = {field: prepared.headers.get(field) for field in FRAMING}
    if own_json:
        expected["Content-Length"] = str(len(ours.body))
    elif not body:
        expected["Content-Length"] = length_of_nothing(method, BODIES[name]())
    assert {field: ours.get(field) for field in FRAMING} == expected


def length_of_nothing(method, arguments):
    """requests says 0 in a DELETE too, and not where b"" was given for a GET."""
    given = arguments.get("data") in (b"", "")
    return "0" if given or method in ("POST", "PUT") else None


def test_a_form_of_nothing_is_no_body(sent):
    """requests announces a form, and no length."""
    for data in ({"a": None}, {"a": []}, {}):
        request = sent(data=data)
        assert (request.get("Content-Type"), request.body) == (None, b"")
        assert request.get("Content-Length") == "0"
        assert sent("GET", data=data).get("Content-Length") is None


FILES = {
    "a file": lambda: {"f": named("/x/a.txt", b"1")},
    "a file without a name": lambda: {"f": io.BytesIO(b"1")},
    "bytes": lambda: {"f": b"1"},
    "str": lambda: {"f": "ü"},
    "a name": lambda: {"f": ("a.txt", b"1")},
    "no name": lambda: {"f": (None, b"1")},
    "a type": lambda: {"f": ("a.txt", io.BytesIO(b"1"), "x/y")},
    "headers": lambda: {"f": ("a.txt", "1", "x/y", {"X-A": "b"})},
    "pairs": lambda: [("f", ("a", b"1")), ("f", ("b", b"2"))],
    "a list for a tuple": lambda: {"f": ["a", b"1"]},
    "None": lambda: {"f": None, "g": b"1"},
    "quotes": lambda: {"f": ('a"b\r\n.txt', b"1")},
    "umlauts": lambda: {"fü": ("ü.txt", b"1")},
    "stdin": lambda: {"f": named("<stdin>", b"1")},
}
DATA = [{}, {"a": "b", "l": ["1", None, 2]}, [("a", "b"), ("a", b"c")]]


def parts(body, content_type):
    """[(the head's lines, content)], without the content types we guess."""
    boundary = content_type.partition("boundary=")[2].encode()
    first, *middle, last = body.split(b"--" + boundary)
    assert (first, last.rstrip(b"\r\n")) == (b"", b"--")
    found = []
    for part in middle:
        head, _, content = part[2:-2].partition(b"\r\n\r\n")
        lines = set(head.split(b"\r\n"))
        found.append((lines - {b"Content-Type: text/plain"} - GUESSED, content))
    return found


GUESSED = {b"Content-Type: application/octet-stream"}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", FILES)
def test_files_as_requests_sends_them(sent, name, data):
    """The same parts in the same order; but requests guesses no content types."""
    ours, prepared = sent(data=data, files=FILES[name]()), theirs(
        data=data, files=FILES[name]()
    )
    assert parts(ours.body, ours.get("Content-Type")) == parts(
        prepared.body, prepared.headers["Content-Type"]
    )


AS_HTTPX = {
    "a file": lambda: {"f": named("/x/a.txt", b"1")},
    "a name": lambda: {"f": ("a.png", b"1")},
    "an ending nobody knows": lambda: {"f": ("a.qqq", b"1")},
    "no name": lambda: {"f": (None, b"1")},
    "a type": lambda: {"f": ("a.txt", io.BytesIO(b"1"), "x/y")},
    "headers": lambda: {"f": ("a.txt", b"1", None, {"X-A": "b"})},
    "a type as header": lambda: {"f": ("a", b"1", None, {"Content-Type": "x/y"})},
    "pairs": lambda: [("f", ("a", b"1")), ("f", ("b", "ü"))],
    "names": lambda: {'"f\r\n': ('"a\\\r\n\x00ü', b"1")},
}


@pytest.mark.parametrize("name", AS_HTTPX)
def test_files_as_httpx_sends_them(sent, name):
    """The same parts, guessed content types included."""
    httpx = pytest.importorskip("httpx")
    own = {"Content-Type": "multipart/form-data; boundary=own"}
    ours = sent(data={"a": "b"}, files=AS_HTTPX[name](), headers=own)
    theirs = httpx.Request(
        "POST", "http://a.test/", data={"a": "b"}, files=AS_HTTPX[name](), headers=own
    )
    assert lines_sorted(ours.body) == lines_sorted(theirs.read())
    assert ours.get("Content-Length") == theirs.headers["Content-Length"]


def lines_sorted(body):
    """The order of a part's headers is not the same."""
    return [sorted(part.split(b"\r\n")) for part in body.split(b"--own")]


# ---- where we differ ---------------------------------------------------------


def test_a_file_goes_out_from_where_it_stands(sent):
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    request = sent(data=file)
    assert (request.get("Content-Length"), request.body) == ("6", b"456789")
    assert not file.closed


def test_pieces_that_lie_there_have_a_length(sent):
    """A list of bytes is a body; requests refuses it."""
    request = sent(data=[b"one", b"two"])
    assert (request.get("Content-Length"), request.body) == ("6", b"onetwo")


@pytest.mark.parametrize(
    "make", [lambda: UserDict(a="b"), {"a": "b"}.items, lambda: {"a": iter("b")}]
)
def test_other_mappings_are_forms(sent, make):
    request = sent(data=make())
    assert (request.get("Content-Type"), request.body) == (FORM, b"a=b")


def test_json_is_compact_and_utf_8(sent):
    request = sent(json={"a": [1, 2], "ü": "€😀"})
    assert request.get("Content-Type") == "application/json"
    assert request.body == '{"a":[1,2],"ü":"€😀"}'.encode()


@pytest.mark.parametrize("value", [float("nan"), [float("-inf")], {"a": float("inf")}])
def test_json_has_no_nan(new_client, value):
    with pytest.raises(hpool.InvalidJSONError, match="^json: .*not JSON compliant"):
        new_client().post("http://127.0.0.1:1/", json=value)


def numbers():
    yield b"1"
    yield "ü"
    yield b""
    yield memoryview(b"3")


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (lambda: b"raw", b"raw"),
        (lambda: "ü", "ü".encode()),
        (lambda: bytearray(b"raw"), b"raw"),
        (lambda: memoryview(b"abc")[1:], b"bc"),
        (lambda: io.BytesIO(b"raw"), b"raw"),
        (lambda: io.StringIO("ü"), "ü".encode()),
        (numbers, "1ü3".encode()),
        (lambda: [b"1", "2"], b"12"),
        (lambda: b"", b""),
    ],
)
def test_content_is_the_body_as_it_is(sent, make, body):
    """httpx's spelling, with no Content-Type."""
    request = sent(content=make())
    assert request.body == body
    assert request.get("Content-Type") is None


@pytest.mark.parametrize("policy", [{}, {"auth": ("u", "p")}])
def test_a_buffer_in_several_pieces(new_client, policy):
    every_other = memoryview(b"abcd")[::2]
    with pytest.raises(hpool.InvalidArgument, match="data/content takes a buffer"):
        new_client().post("http://127.0.0.1:1/", data=every_other, **policy)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"data": b"x", "json": 1}, "json and data"),
        ({"data": {"a": 1}, "json": 1}, "json and data"),
        ({"data": "", "json": 1}, "json and data"),
        ({"data": b"x", "content": b"y"}, "data and content"),
        ({"content": b"x", "json": 1}, "json and content"),
        ({"files": {"f": b""}, "json": 1}, "files and json"),
        ({"files": {"f": b""}, "content": b""}, "files and content"),
    ],
)
@pytest.mark.parametrize("policy", [{}, {"cookies": {"a": "b"}}])
def test_two_bodies(new_client, arguments, names, policy):
    """requests would send one of them and not say which; httpx as well."""
    with pytest.raises(TypeError, match=f"^{names} cannot be given together"):
        new_client().post("http://127.0.0.1:1/", **arguments, **policy)


VERBS = ["get", "options", "head", "delete", "post", "put", "patch"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_body(server, new_client, verb):
    s = server([serve(respond(b""))])
    client = new_client()
    for how in ({"data": {"a": "b"}}, {"json": 1}, {"content": b"x"}):
        getattr(client, verb)(s.url, **how).close()
    assert [r.body for r in s.connections[0].requests] == [b"a=b", b"1", b"x"]


class Counted:
    """As somebody's own file: read() and len()."""

    def __init__(self, content, announced=None):
        self._file = io.BytesIO(content)
        self._announced = len(content) if announced is None else announced

    def __len__(self):
        return self._announced

    def read(self, size=-1):
        return self._file.read(size)


@pytest.mark.parametrize("argument", ["data", "content"])
def test_an_object_with_read_and_len(sent, argument):
    request = sent(**{argument: Counted(b"x" * 1000)})
    assert (request.get("Content-Length"), request.body) == ("1000", b"x" * 1000)


def test_a_file_shorter_than_announced(server, new_client):
    s = server(lambda connection: connection.request(body=False) and connection.read(3))
    with pytest.raises(
        hpool.LocalProtocolError,
        match="the body ended after 3 bytes, but Content-Length promised 5",
    ):
        new_client().post(s.url, data=Counted(b"abc", 5))


def test_an_iterator_of_a_wrong_kind(server, new_client):
    s = server(lambda connection: connection.request(body=False))
    with pytest.raises(TypeError, match="the iterator gave int, not bytes"):
        new_client().post(s.url, data=iter([1]))
