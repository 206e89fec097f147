"""files=: multipart bodies, read back by parsers that are not ours."""

import array
import io
import os
import re
import subprocess
import sys
import tempfile
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import hpool
from hpool.policy.digest import DigestAuth
from hpool.policy.multipart import Multipart, encode, guess_type
from tests.server.scripted import (
    ScriptedServer,
    ScriptError,
    expect,
    respond,
    send,
    serve,
)

formparser = pytest.importorskip("werkzeug.formparser")
python_multipart = pytest.importorskip("python_multipart")


def whole(body):
    return b"".join(body)


def boundary_of(content_type):
    return re.fullmatch(r"multipart/form-data; boundary=(\S+)", content_type)[1]


# ---- two parsers -------------------------------------------------------------
#
# Each gives [(name, file name or None, content type or None, content), ...], the
# fields first.


def by_werkzeug(data, boundary):
    parser = formparser.MultiPartParser(stream_factory=lambda **_: io.BytesIO())
    form, files = parser.parse(io.BytesIO(data), boundary.encode(), len(data))
    return [
        (name, None, None, value.encode()) for name, value in form.items(multi=True)
    ] + [
        (name, file.filename, file.headers.get("Content-Type"), file.stream.read())
        for name, file in files.items(multi=True)
    ]


class Collected:
    """What python-multipart calls while it parses."""

    def __init__(self):
        self.parts = []
        self.ended = False

    def on_part_begin(self):
        self.headers, self.field, self.value, self.content = {}, b"", b"", b""

    def on_header_field(self, data, start, end):
        self.field += data[start:end]

    def on_header_value(self, data, start, end):
        self.value += data[start:end]

    def on_header_end(self):
        self.headers[self.field.lower()] = self.value
        self.field = self.value = b""

    def on_part_data(self, data, start, end):
        self.content += data[start:end]

    def on_part_end(self):
        disposition = self.headers[b"content-disposition"]
        kind, options = python_multipart.multipart.parse_options_header(disposition)
        assert kind == b"form-data"
        name, filename = (options.get(key) for key in (b"name", b"filename"))
        content_type = self.headers.get(b"content-type")
        self.parts.append(
            (
                name.decode(),
                None if filename is None else filename.decode(),
                content_type and content_type.decode(),
                self.content,
            )
        )

    def on_end(self):
        self.ended = True


def by_python_multipart(data, boundary):
    collected = Collected()
    names = [name for name in dir(collected) if name.startswith("on_")]
    parser = python_multipart.MultipartParser(
        boundary, {name: getattr(collected, name) for name in names}
    )
    parser.write(data)
    parser.finalize()
    assert collected.ended
    return sorted(collected.parts, key=lambda part: part[1] is not None)


def parsed(data, files, **how):
    """What both parsers say that they find."""
    body, content_type = encode(data, files, **how)
    raw = whole(body)
    assert body.length in (None, len(raw))
    boundary = boundary_of(content_type)
    found = by_werkzeug(raw, boundary)
    assert by_python_multipart(raw, boundary) == found
    return found


# ---- forms of files= ---------------------------------------------------------


class Named(io.BytesIO):
    """As an open file: it has a name."""

    def __init__(self, content, name):
        super().__init__(content)
        self.name = name


OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"f": b"x"}, [("f", "f", OCTETS, b"x")]),
        ({"f": "ü"}, [("f", "f", OCTETS, "ü".encode())]),
        ({"f": bytearray(b"x")}, [("f", "f", OCTETS, b"x")]),
        ({"f": memoryview(b"xyz")[::2]}, [("f", "f", OCTETS, b"xz")]),
        ({"f": array.array("B", b"x")}, [("f", "f", OCTETS, b"x")]),
        ({"f": io.BytesIO(b"x")}, [("f", "f", OCTETS, b"x")]),
        ({"f": Named(b"x", "/a/b.png")}, [("f", "b.png", "image/png", b"x")]),
        ({"f": Named(b"x", b"/a/\xc3\xbc.txt")}, [("f", "ü.txt", "text/plain", b"x")]),
        ({"f": Named(b"x", "<stdin>")}, [("f", "f", OCTETS, b"x")]),
        ({"f": Named(b"x", 3)}, [("f", "f", OCTETS, b"x")]),
        ({"f": ("a.csv", b"x")}, [("f", "a.csv", "text/csv", b"x")]),
        ({"f": ["a.csv", b"x"]}, [("f", "a.csv", "text/csv", b"x")]),
        ({"f": (b"a.csv", b"x")}, [("f", "a.csv", "text/csv", b"x")]),
        ({"f": ("a", b"x", "image/gif")}, [("f", "a", "image/gif", b"x")]),
        ({"f": ("a.js", b"x", None, {})}, [("f", "a.js", guess_type("a.js"), b"x")]),
        (
            {"f": ("a", b"x", None, {"content-type": "a/b"})},
            [("f", "a", "a/b", b"x")],
        ),
        (
            {"f": ("a", b"x", "a/b", {"Content-Type": "c/d"})},
            [("f", "a", "a/b", b"x")],
        ),
        ({"f": (None, b"x")}, [("f", None, None, b"x")]),
        ({"f": (None, "x", "text/html")}, [("f", None, None, b"x")]),
        ({"f": ("a", iter([b"x", b"", "y"]))}, [("f", "a", OCTETS, b"xy")]),
        ({"f": ("a", [b"x", b"y"])}, [("f", "a", OCTETS, b"xy")]),
        ({"f": None, "g": ("a", None), "h": b""}, [("h", "h", OCTETS, b"")]),
        (
            [("f", b"1"), ("f", b"2")],
            [("f", "f", OCTETS, b"1"), ("f", "f", OCTETS, b"2")],
        ),
        (
            {"f": [("a", b"1"), Named(b"2", "b")]},
            [("f", "a", OCTETS, b"1"), ("f", "b", OCTETS, b"2")],
        ),
        ({3: ("a", b"x")}, [("3", "a", OCTETS, b"x")]),
    ],
)
def test_the_forms_of_files(files, found):
    """requests' and httpx's: a mapping or pairs; files, bytes, str, tuples."""
    if found[0][1] is None:  # python-multipart is told of content types of fields
        body, content_type = encode(None, files)
        parts = by_python_multipart(whole(body), boundary_of(content_type))
        assert [part[::3] for part in parts] == [part[::3] for part in found]
    else:
        assert parsed(None, files) == found


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({"a": 1, "b": ["x", None, "y"]}, [("a", b"1"), ("b", b"x"), ("b", b"y")]),
        ([("a", b"\xc3\xbc"), ("a", True)], [("a", "ü".encode()), ("a", b"True")]),
        ({"a": None}, []),
        ({"a": ("x", "y")}, [("a", b"x"), ("a", b"y")]),
        ({}, []),
        (None, []),
    ],
)
def test_fields_come_first(data, fields):
    """data= beside files= is fields, with a form's values."""
    expected = [(name, None, None, value) for name, value in fields]
    assert parsed(data, {"f": b"x"}) == [*expected, ("f", "f", OCTETS, b"x")]


def test_headers_of_a_part():
    headers = {"X-One": "1", "X-Two": "ü", "X-None": None}
    body, _ = encode(None, {"f": ("a.txt", b"x", None, headers)})
    head = whole(body).partition(b"\r\n\r\n")[0].decode()
    assert head.split("\r\n")[1:] == [
        'Content-Disposition: form-data; name="f"; filename="a.txt"',
        "Content-Type: text/plain",
        "X-One: 1",
        "X-Two: ü",
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html"),
        ("A.PNG", "image/png"),
        ("a.tar.gz", "application/gzip"),
        ("a.txt.bz2", OCTETS),
        ("a", OCTETS),
        (".png", OCTETS),
        ("data:a/b\r\nX: y,", OCTETS),
        (None, None),
    ],
)
def test_guessed_types(name, kind):
    assert guess_type(name) == kind


# ---- any names, any contents -------------------------------------------------

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
nasty = st.text('";\\\r\n\0\t =*%2C:/\u2028\x85é', min_size=1, max_size=8)
contents = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"\r\n", b"--", b"B", b"\r", b"\n"])).map(b"".join),
)


def plain(name):
    """A name as it is on the wire; parsers undo none, one or all of it."""
    escaped = (
        f"%{ord(c):02X}" if c < " " or c in '"\x7f' else c for c in name
    )
    return "".join(escaped)


def puzzles_python_multipart(name):
    """It takes the end of a doubled backslash before a quote, or before an n or
    another backslash, for an escape, and cuts what looks like a path of Windows."""
    return "\\" in name


@given(names | nasty, names | nasty, contents)
@example('a"b', "a\\", b"")
@example("\\", '\\"', b"")
@example("a\r\nX: y", '"; filename="b', b"\r\n--")
def test_any_name_and_content_come_back(name, filename, content):
    body, content_type = encode({name: content.hex()}, {name: (filename, content)})
    raw, boundary = whole(body), boundary_of(content_type)
    expected = [
        (plain(name), None, content.hex().encode()),
        (plain(name), plain(filename), content),
    ]
    parsers = [by_werkzeug]
    if not puzzles_python_multipart(name + filename):
        parsers.append(by_python_multipart)
    for parser in parsers:
        found = [
            (plain(part[0]), part[1] and plain(part[1]), part[3])
            for part in parser(raw, boundary)
        ]
        assert found == expected


@given(st.lists(st.tuples(names, contents, st.sampled_from("bfgn")), max_size=6))
def test_any_number_of_parts_of_any_kind(parts):
    """Bytes, files, generators and fields, in their order."""

    def value(content, kind):
        if kind == "b":
            return "f", content
        if kind == "f":
            return "f", io.BytesIO(content)
        if kind == "g":
            return "f", (content[i : i + 1] for i in range(len(content)))
        return None, content

    files = [(name, value(content, kind)) for name, content, kind in parts]
    body, content_type = encode(None, files)
    assert (body.length is None) == any(kind == "g" for *_, kind in parts)
    found = by_werkzeug(whole(body), boundary_of(content_type)) if parts else []
    expected = [
        (name, "f", content) for name, content, kind in parts if kind != "n"
    ]
    assert [(plain(n), f, c) for n, f, _, c in found if f] == grouped(expected)


def grouped(parts):
    """As werkzeug's mapping gives them: by name."""
    names = dict.fromkeys(plain(name) for name, *_ in parts)
    return [
        (name, *part[1:]) for name in names for part in parts if plain(part[0]) == name
    ]


# ---- length and sending again ------------------------------------------------


def test_the_length_of_files_from_where_they_stand(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    with open(tmp_path / "a.bin", "rb") as file:
        file.seek(4)
        body, _ = encode({"n": "ü"}, {"f": file, "g": ("b", "ü")})
        raw = whole(body)
        assert b"\r\n\r\n456789\r\n" in raw
        assert body.length == len(raw)
        assert not file.closed


def test_sent_again_it_is_the_same():
    file = io.BytesIO(b"0123456789")
    file.seek(2)
    body, _ = encode({"a": "b"}, {"f": file, "again": file, "g": b"x"})
    raw = whole(body)
    assert raw.count(b"23456789") == 2  # each part has it from where it stood
    assert body.rewindable
    assert whole(body) == b""
    body.rewind()
    assert body.next()  # half sent
    body.rewind()
    assert whole(body) == raw


def test_sent_again_after_a_piece_that_was_held_back():
    """The one after the head has been read by then."""
    body, _ = encode(None, {"f": b"x" * 100000, "g": io.BytesIO(bytes(100000))})
    raw = whole(body)
    body.rewind()
    assert len(body.next()) < 1000
    body.rewind()
    assert whole(body) == raw


class Unseekable:
    """As a pipe."""

    def __init__(self, content):
        self._file = io.BytesIO(content)
        self.read = self._file.read


class Announced(Unseekable):
    def __init__(self, content, announced):
        super().__init__(content)
        self.announced = announced

    def __len__(self):
        return self.announced


def test_a_pipe_has_no_length():
    body, _ = encode(None, {"f": Unseekable(b"xyz")})
    assert (body.length, body.rewindable) == (None, False)
    assert b"xyz" in whole(body)
    with pytest.raises(hpool.UnrewindableBodyError, match="'f' cannot go back to its"):
        body.rewind()


def test_an_object_with_read_and_len():
    body, _ = encode(None, {"f": Announced(b"xyz", 3)})
    assert body.length == len(whole(body))
    assert not body.rewindable


def test_a_generator_is_sent_once():
    body, _ = encode(None, {"f": (c for c in [b"x", b"y"])})
    assert (body.length, body.rewindable) == (None, False)
    body.rewind()  # nothing was taken from it yet
    assert b"xy" in whole(body)
    with pytest.raises(hpool.UnrewindableBodyError, match="'f' gives its pieces once"):
        body.rewind()


def test_a_file_closed_meanwhile():
    file = io.BytesIO(b"x")
    body, _ = encode(None, {"f": file})
    file.close()
    with pytest.raises(hpool.UnrewindableBodyError, match="closed file"):
        body.rewind()


def test_a_piece_is_sent_when_it_is_made():
    """What a generator has given does not wait for what it will give."""
    made = []

    def slowly():
        for piece in (b"one", b"two"):
            made.append(piece)
            yield piece

    body, _ = encode({"a": "b"}, {"f": slowly(), "g": b"last"})
    assert b'name="f"' in body.next()
    assert made == []
    assert (body.next(), made) == (b"one", [b"one"])
    assert (body.next(), made) == (b"two", [b"one", b"two"])
    assert body.next().endswith(b"--\r\n")
    assert body.next() == b""


def test_small_parts_are_sent_together():
    body, _ = encode({str(i): i for i in range(50)}, {"f": io.BytesIO(b"x")})
    assert len(list(body)) == 1


def test_large_content_is_not_copied():
    content = bytes(1 << 20)
    body, _ = encode(None, {"f": content})
    assert any(piece is content for piece in body)


# ---- files that change, files of a wrong kind --------------------------------


@pytest.mark.parametrize("size", [5, 262144, 262145, 700000])
@pytest.mark.parametrize(("by", "how"), [(1, "longer"), (-1, "shorter")])
def test_a_file_that_changes(tmp_path, size, by, how):
    """It is an error before the last of it has gone out."""
    path = tmp_path / "log"
    path.write_bytes(bytes(size))
    with path.open("rb", buffering=0) as file:
        body, _ = encode(None, {"f": file})
        os.truncate(path, size + by)
        sent = []
        text = f"'f' became {how} than the {size} bytes it had when the request began"
        with pytest.raises(hpool.LocalProtocolError, match=text):
            for piece in body:
                sent.append(piece)
        assert b"--\r\n" not in b"".join(sent)


def test_no_byte_is_waited_for_that_was_not_announced():
    """A pipe with a known length is not read beyond it."""

    class Pipe(Announced):
        def __init__(self, content, announced):
            super().__init__(content, announced)
            self.left = announced
            self.read = self.checked

        def checked(self, size=-1):
            assert 0 < size <= self.left
            self.left -= size
            return self._file.read(size)

    assert b"xyz" in whole(encode(None, {"f": Pipe(b"xyzmore", 3)})[0])


class ReadsText:
    def read(self, size=-1):
        return "text"


def test_text_files(tmp_path):
    with open(tmp_path / "a", "w+") as file:
        with pytest.raises(TypeError, match="'f' gives str, not bytes; open it"):
            encode(None, {"f": file})
    with pytest.raises(TypeError, match="'f' gives str, not bytes; open it"):
        whole(encode(None, {"f": ReadsText()})[0])


def test_a_generator_of_a_wrong_kind():
    with pytest.raises(TypeError, match="the iterator of 'f' gave int, not bytes"):
        whole(encode(None, {"f": iter([1])})[0])


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ("name", "files takes a mapping or pairs, not str"),
        (b"name", "files takes a mapping or pairs, not bytes"),
        (7, "files takes a mapping or pairs, not int"),
        ({"f": 7}, "content of 'f' takes bytes, str, a binary file .* not int"),
        ({"f": {"a": 1}}, "not dict"),
        ({"f": tempfile}, "not module"),
        ({"f": os.scandir}, "not builtin_function"),
        ({"f": ("a", b"x", 3)}, "the content type of 'f' must be a str, not int"),
        ({"f": ("a", b"x", None, 3)}, "headers takes a mapping or pairs, not int"),
        ({"f": ("a", b"x", None, {"X": 1})}, "the headers of 'f' take str"),
        ({None: b"x"}, "a name is a str, not NoneType"),
    ],
)
def test_wrong_types(files, text):
    with pytest.raises(TypeError, match=text):
        encode(None, files)


def test_a_path_is_no_file(tmp_path):
    with pytest.raises(TypeError, match="not PosixPath; open it"):
        encode(None, {"f": tmp_path / "x"})


SECRET = "s3cret"


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ([("f", 1, 2)], "pairs of a name and what belongs to it"),
        (["ab"], "pairs of a name and what belongs to it"),
        ({"f": ("a",)}, "'f' takes .file name, file, content type, headers"),
        ({"f": ("a", b"", None, None, 5)}, "not 5 items"),
        ({"f": ("\ud800", b"")}, "the file name '.ud800' has half a surrogate pair"),
        ({"\udc80": b""}, "the name '.udc80' has half a surrogate pair"),
        ({"f": Named(b"", b"\xff")}, "the file name '.udcff' has half a surrogate"),
        ({"f": (b"\xff", b"")}, "the file name b'.xff' is not in UTF-8"),
        ({"f": ("a", "\ud800")}, "the content of 'f' has half a surrogate pair"),
        ({"f": ("a", b"", "a/b\r\nX: " + SECRET)}, "Content-Type of 'f' has a control"),
        ({"f": ("a", b"", None, {"X": SECRET + "\n"})}, "X of 'f' has a control"),
        ({"f": ("a", b"", None, {"X": "\ud800"})}, "header X of 'f' has half a surr"),
        ({"f": ("a", b"", None, {"X Y": SECRET})}, "'X Y' among the headers of 'f'"),
        ({"f": ("a", b"", None, {"": "x"})}, "'' among the headers of 'f' is no"),
        (
            {"f": ("a", b"", None, {"content-disposition": SECRET})},
            "the Content-Disposition of 'f' is made of its names",
        ),
    ],
)
def test_wrong_values(files, text):
    with pytest.raises(hpool.errors.InvalidArgument, match=text) as caught:
        encode(None, files)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("data", ["a=b", b"a=b", io.BytesIO(b""), 7])
def test_data_beside_files_is_fields(data):
    with pytest.raises(TypeError, match="^data takes a mapping or "):
        encode(data, {"f": b"x"})


# ---- the boundary ------------------------------------------------------------


def test_the_boundary_is_random():
    kinds = {encode(None, {"f": b"x"})[1] for _ in range(10)}
    assert len(kinds) == 10
    assert all(re.fullmatch("[0-9a-f]{32}", boundary_of(kind)) for kind in kinds)


@pytest.mark.parametrize(
    ("given", "boundary", "sent"),
    [
        ("multipart/form-data; boundary=abc", "abc", None),
        ('multipart/form-data; Boundary="a b?c"', "a b?c", None),
        ("multipart/mixed; charset=utf-8;boundary=abc", "abc", None),
        ("multipart/form-data", None, "multipart/form-data; boundary={}"),
        ("multipart/related; type=a;", None, "multipart/related; type=a; boundary={}"),
    ],
)
def test_a_content_type_that_was_given(given, boundary, sent):
    """Its boundary is used; where it has none it is completed."""
    body, content_type = encode(None, {"f": b"x"}, given)
    assert body.boundary == boundary if boundary else len(body.boundary) == 32
    assert content_type == (sent and sent.format(body.boundary))
    assert whole(body).startswith(f"--{body.boundary}\r\n".encode())


@pytest.mark.parametrize("given", ["application/json", "", "text/plain; boundary=x"])
def test_a_content_type_that_is_another(given):
    with pytest.raises(hpool.errors.InvalidArgument, match="leave the header out"):
        encode(None, {"f": b"x"}, given)


@pytest.mark.parametrize("boundary", ["", "ü", "a" * 71, '"a '])
def test_a_boundary_that_is_none(boundary):
    with pytest.raises(hpool.errors.InvalidArgument, match="1 to 70 characters"):
        encode(None, {"f": b"x"}, f"multipart/form-data; boundary={boundary}")


# ---- sent --------------------------------------------------------------------

VERBS = ["get", "options", "head", "post", "put", "patch", "delete"]


def received(request):
    """What werkzeug finds in a request that a scripted server got."""
    boundary = boundary_of(request.get("Content-Type"))
    return by_werkzeug(request.body, boundary)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_files(server, new_client, verb):
    s = server([serve(respond(b""))])
    getattr(new_client(), verb)(s.url, data={"a": "b"}, files={"f": b"x"}).close()
    (request,) = s.connections[0].requests
    assert request.method == verb.upper()
    assert request.get("Content-Length") == str(len(request.body))
    assert received(request) == [("a", None, None, b"b"), ("f", "f", OCTETS, b"x")]


def test_modules_verbs_and_request_take_files(server, new_client):
    s = server([serve(respond(b""))])
    client = new_client()
    for call in (
        lambda **how: hpool.post(s.url, **how),
        lambda **how: hpool.request("PUT", s.url, **how),
        lambda **how: client.request("PUT", s.url, **how),
        lambda **how: client.stream("PUT", s.url, **how),
    ):
        call(files={"f": ("a.txt", io.BytesIO(b"x"))}).close()
    for connection in s.connections:
        for request in connection.requests:
            assert received(request) == [("f", "a.txt", "text/plain", b"x")]
    assert sum(len(connection.requests) for connection in s.connections) == 4
    hpool.configure()


def test_what_has_no_length_goes_out_chunked(server, new_client):
    s = server([serve(respond(b""))])
    new_client().post(s.url, files={"f": ("a", (c for c in [b"x", b"y"]))}).read()
    (request,) = s.connections[0].requests
    assert request.get("Transfer-Encoding") == "chunked"
    assert request.get("Content-Length") is None
    assert received(request) == [("f", "a", OCTETS, b"xy")]


@pytest.mark.parametrize("files", [{}, [], None])
def test_no_files_at_all(server, new_client, files):
    """Without one there is a form, or nothing."""
    s = server([serve(respond(b""))])
    new_client().post(s.url, data={"a": "b"}, files=files).read()
    (request,) = s.connections[0].requests
    assert request.get("Content-Type") == "application/x-www-form-urlencoded"
    assert request.body == b"a=b"


def test_a_boundary_of_ones_own(server, new_client):
    """Of the call's header, and of the client's."""
    s = server([serve(respond(b""))])
    own = {"Content-Type": "multipart/form-data; boundary=own"}
    new_client().post(s.url, files={"f": b"x"}, headers=own).read()
    new_client(headers=own).post(s.url, files={"f": b"x"}).read()
    bare = {"Content-Type": "multipart/form-data"}  # as people do it with requests
    new_client().post(s.url, files={"f": b"x"}, headers=bare).read()
    first, second, third = (c.requests[0] for c in s.connections)
    assert first.body == second.body
    assert first.body.startswith(b"--own\r\n")
    assert first.all("Content-Type") == [own["Content-Type"]]
    assert second.all("Content-Type") == [own["Content-Type"]]
    assert received(third) == [("f", "f", OCTETS, b"x")]


@pytest.mark.parametrize("other", [{"json": {}}, {"content": b"x"}])
def test_files_and_another_body(server, new_client, other):
    (name,) = other
    with pytest.raises(TypeError, match=f"files and {name} cannot be given together"):
        new_client().post("http://127.0.0.1:1/", files={"f": b"x"}, **other)


def test_a_body_is_sent_again_after_a_redirect(server, new_client, tmp_path):
    """307 keeps method and body, which is read from the file once more."""
    (tmp_path / "a").write_bytes(b"0123456789" * 100000)
    moved = respond(b"", 307, {"Location": "/there"})
    s = server([expect(), send(moved), expect(), send(respond(b"done"))])
    with open(tmp_path / "a", "rb") as file:
        file.seek(10)
        answer = new_client().post(s.url + "/here", files={"f": file})
        assert answer.read() == b"done"
        assert not file.closed
    first, second = s.connections[0].requests
    assert (second.method, second.target) == ("POST", "/there")
    assert second.body == first.body
    assert received(second) == [("f", "a", OCTETS, b"0123456789" * 99999)]


CHALLENGE = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}


def test_a_body_is_sent_again_for_auth(server, new_client):
    """The answer to a challenge takes the whole body once more."""
    no = respond(b"no", 401, CHALLENGE)
    s = server([expect(), send(no), expect(), send(respond(b"yes"))])
    files = {"f": ("f", io.BytesIO(b"x" * 100000))}
    answer = new_client().post(s.url, files=files, auth=DigestAuth("u", "p"))
    assert answer.read() == b"yes"
    first, second = s.connections[0].requests
    assert (first.get("Authorization"), first.body) == (None, second.body)
    assert received(second) == [("f", "f", OCTETS, b"x" * 100000)]


def test_a_body_that_is_gone_is_an_error_for_auth(server, new_client):
    s = server([expect(), send(respond(b"no", 401, CHALLENGE))])
    files = {"f": (c for c in [b"x"])}
    with pytest.raises(hpool.UnrewindableBodyError):
        new_client().post(s.url, files=files, auth=DigestAuth("u", "p"))


def test_a_body_that_is_gone_is_not_sent_again(server, new_client):
    """The redirect is the answer then."""
    s = server([serve(respond(b"", 307, {"Location": "/there"}))])
    files = {"f": (c for c in [b"x"])}
    assert new_client().post(s.url, files=files).status_code == 307
    assert len(s.connections[0].requests) == 1


def test_a_file_that_shrinks_while_it_is_sent(new_client, tmp_path):
    """The error says so, and the server never gets the end."""
    path = tmp_path / "log"
    path.write_bytes(bytes(1 << 20))

    arrived = threading.Event()

    def script(connection):
        connection.request(body=False)
        arrived.set()
        connection.read_body()

    class Shrinks(io.FileIO):
        def read(self, size=-1):
            if self.tell() > 300000:
                assert arrived.wait(10)
                os.truncate(path, 300000)
            return super().read(size)

    with pytest.raises(ScriptError, match=r"connection 1: \d+ bytes came, not \d+"):
        with ScriptedServer(script) as s, Shrinks(path) as file:
            client = new_client()
            with pytest.raises(hpool.LocalProtocolError, match="'f' became shorter"):
                client.post(s.url, files={"f": file})
            assert client.stats().total.idle == 0


class Progress:
    """A file that tells how much of it has been read."""

    def __init__(self, file, told):
        self._file, self._told = file, told
        self.len = os.fstat(file.fileno()).st_size

    def read(self, size=-1):
        piece = self._file.read(size)
        self._told(len(piece))
        return piece


@pytest.mark.parametrize("how", ["data", "content", "files"])
def test_progress_by_wrapping_the_file(server, new_client, tmp_path, how):
    """Anything with read() and a length, as toolbelt's monitors and tqdm make it."""
    content = bytes(range(256)) * 4096
    (tmp_path / "a").write_bytes(content)
    s = server([serve(respond(b""))])
    told = []
    with open(tmp_path / "a", "rb") as file:
        wrapped = Progress(file, told.append)
        body = {"f": ("a", wrapped)} if how == "files" else wrapped
        new_client().post(s.url, **{how: body}).read()
    (request,) = s.connections[0].requests
    assert request.get("Content-Length") == str(len(request.body))
    assert content in request.body
    assert sum(told) == len(content)
    assert len(told) >= 4


UPLOAD = """
import os, resource, sys
import hpool

def highest():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

url, path = sys.argv[1:]
with hpool.Client(timeout=50) as client, open(path, "rb") as file:
    client.post(url, files={"f": b"x"}).read()  # what any upload needs
    before = highest()
    files = {"f": file, "n": ("n", (bytes(1000) for _ in range(10)))}
    assert client.post(url, files=files).read() == b"%d" % os.path.getsize(path)
    print(highest() - before)
"""

SIZE = 200 << 20


def count_body(connection):
    """Answers how many zeros came beyond those of the small parts."""
    while request := connection.request(body=False, patient=True):
        n = zeros = 0
        if request.get("Content-Length"):
            connection.read(int(request.get("Content-Length")))
        else:
            while size := int(connection._read_until(b"\r\n", "a chunk"), 16):
                zeros += connection.read(size + 2)[:-2].count(0)
            connection.read(2)
            n = zeros - 10 * 1000
        connection.send(respond(b"%d" % n))


def test_an_upload_of_200_mib_takes_little_memory(server, tmp_path):
    with open(tmp_path / "big", "wb") as file:
        file.truncate(SIZE)
    s = server(count_body)
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, s.url, tmp_path / "big"],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 8 << 20
