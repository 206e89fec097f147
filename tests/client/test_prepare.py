"""URLs, forms, JSON and bodies in pieces, before the core sees them."""

import array
import io
import os

import pytest

import hpool
from hpool import _prepare
from hpool._prepare import (
    add_params,
    body_source,
    encode_data,
    encode_json,
    idna_url,
    join_base,
    merge_params,
)

FORM = "application/x-www-form-urlencoded"

# ---- params -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        ("http://a/", None, "http://a/"),
        ("http://a/", {}, "http://a/"),
        ("http://a/", {"x": 1}, "http://a/?x=1"),
        ("http://a/?y=2", {"x": 1}, "http://a/?y=2&x=1"),
        ("http://a/?", {"x": 1}, "http://a/?x=1"),
        ("http://a/?y&", {"x": 1}, "http://a/?y&x=1"),
        ("http://a/#f?g", {"x": 1}, "http://a/?x=1#f?g"),
        ("http://a", {"x": 1}, "http://a?x=1"),
        ("http://a/", {"x": None, "y": "b"}, "http://a/?y=b"),
        ("http://a/", {"x": [1, None, "z"]}, "http://a/?x=1&x=z"),
        ("http://a/", [("x", 1), ("x", 2)], "http://a/?x=1&x=2"),
        ("http://a/", {"x": "a b&c=ü/"}, "http://a/?x=a+b%26c%3D%C3%BC%2F"),
        ("http://a/", {b"x": b"\xff"}, "http://a/?x=%FF"),
        ("http://a/", {"x": True}, "http://a/?x=True"),
        ("http://a/", {3: 1.5}, "http://a/?3=1.5"),
        ("http://a/", "raw=1&b", "http://a/?raw=1&b"),
        ("http://a/", b"raw=1", "http://a/?raw=1"),
        ("http://a/", "", "http://a/"),
    ],
)
def test_add_params(url, params, expected):
    assert add_params(url, params) == expected


def test_params_like_requests():
    requests = pytest.importorskip("requests")
    params = {"a": "1 2", "b": ["x", None, 3], "ü": "é~*", "n": None, "t": True}
    theirs = requests.Request("GET", "http://a/x?y=1#z", params=params).prepare()
    assert add_params("http://a/x?y=1#z", params) == theirs.url


def test_params_of_a_wrong_kind():
    with pytest.raises(TypeError, match="params takes a mapping"):
        add_params("http://a/", 3)
    with pytest.raises(ValueError, match="not 3 in place of two"):
        add_params("http://a/", [(1, 2, 3)])


@pytest.mark.parametrize(
    ("defaults", "params", "expected"),
    [
        ({"a": 1}, None, "?a=1"),
        ({"a": 1}, {}, "?a=1"),
        (None, {"b": 2}, "?b=2"),
        ({"a": 1, "c": 3}, {"a": 2}, "?c=3&a=2"),
        ({"a": 1, "c": 3}, {"a": None}, "?c=3"),
        ([("a", 1), ("a", 2)], [("b", 1)], "?a=1&a=2&b=1"),
        ({"a": 1}, "b=2", "?a=1&b=2"),
        ("a=1", {"b": 2}, "?a=1&b=2"),
        (None, None, ""),
    ],
)
def test_merge_params(defaults, params, expected):
    merged = merge_params(defaults, params)
    assert add_params("http://h/", merged) == "http://h/" + expected


# ---- base_url ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("", "http://b/x", "http://b/x"),
        ("http://a", "http://b/x", "http://b/x"),
        ("http://a", "x", "http://a/x"),
        ("http://a", "/x", "http://a/x"),
        ("http://a/", "/x", "http://a/x"),
        ("http://a/v1", "x", "http://a/v1/x"),
        ("http://a/v1/", "/x/", "http://a/v1/x/"),
        ("http://a/v1", "", "http://a/v1"),
        ("http://a/v1", "?q=1", "http://a/v1?q=1"),
        ("http://a/v1?k=1", "x?q=1#f", "http://a/v1/x?k=1&q=1#f"),
        ("http://a/v1?k=1#b", "x", "http://a/v1/x?k=1"),
        # A path from elsewhere must not lead to another host.
        ("http://a/v1", "//b/x", "http://a/v1/b/x"),
        ("http://a/v1", "x?next=http://b/", "http://a/v1/x?next=http://b/"),
    ],
)
def test_join_base(base, url, expected):
    assert join_base(base, url) == expected


# ---- IDNA -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://straße.test/", "http://xn--strae-oqa.test/"),
        ("http://BÜCHER.test:81/ü?ü", "http://xn--bcher-kva.test:81/ü?ü"),
        ("https://u:p@bücher.test", "https://u:p@xn--bcher-kva.test"),
        ("http://a.test。b/", "http://a.test.b/"),
        ("http://ａ.test?x@y", "http://a.test?x@y"),
        ("http://例え.test.:80#f", "http://xn--r8jz45g.test.:80#f"),
    ],
)
def test_idna_url(url, expected):
    assert idna_url(url) == expected


@pytest.mark.parametrize(
    "host",
    [
        "ü..test",  # an empty label
        "-ü.test",
        "a／b.test",  # becomes a slash
        "ü" * 64 + ".test",
        "\u202eü.test",
        "ü_x.test",
        "xn--ü.test",
    ],
)
def test_hosts_that_are_no_names(host):
    with pytest.raises(hpool.InvalidURL, match="is not a name") as caught:
        idna_url(f"http://user:secret@{host}/?token=hidden")
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


# ---- JSON and forms ---------------------------------------------------------


def test_encode_json():
    assert encode_json({"a": [1, None, "ü"]}) == '{"a":[1,null,"ü"]}'.encode()
    assert encode_json(None) == b"null"


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], "\ud800"])
def test_what_json_does_not_have(value):
    with pytest.raises(hpool.InvalidJSONError, match="^json: "):
        encode_json(value)


def test_what_json_does_not_know():
    with pytest.raises(TypeError, match="^json: .*not JSON serializable"):
        encode_json(object())


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ({"a": "1", "b": ["x y", None]}, "a=1&b=x+y"),
        ([("a", 1), ("a", "ü")], "a=1&a=%C3%BC"),
        ((("a", 1),), "a=1"),
        ({"a": 1}.items(), "a=1"),
        ([["a", 1]], "a=1"),
    ],
)
def test_a_form(data, body):
    assert encode_data(data) == (body, FORM)


@pytest.mark.parametrize("data", [{}, [], (), {"a": None}])
def test_an_empty_form_is_no_body(data):
    assert encode_data(data) == (None, None)


@pytest.mark.parametrize(
    "data", [io.BytesIO(b"x"), iter([b"x"]), [b"x", b"y"], (b"x",), ["x"]]
)
def test_a_body_in_pieces_is_itself(data):
    assert encode_data(data) == (data, None)


# ---- sources ----------------------------------------------------------------


def drain(source):
    return b"".join(iter(source.next, b""))


def test_a_file_from_where_it_stands():
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    source = body_source(file)
    assert (source.length, source.rewindable) == (6, True)
    assert drain(source) == b"456789"
    assert source.next() == b""
    source.rewind()
    assert drain(source) == b"456789"


def test_a_real_file(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(bytes(range(256)) * 4096)
    with path.open("rb") as file:
        source = body_source(file)
        assert source.length == 1 << 20
        assert drain(source) == path.read_bytes()


def test_a_file_that_grows_ends_where_it_ended(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"12345")
    with path.open("rb") as file:
        source = body_source(file)
        with path.open("ab") as more:
            more.write(b"678")
        assert drain(source) == b"12345"
        source.rewind()
        assert drain(source) == b"12345"


def test_an_empty_file():
    source = body_source(io.BytesIO())
    assert (source.length, drain(source)) == (0, b"")


class SaysZero(io.BytesIO):
    """A file as in /proc: its size is 0, and there is something in it."""

    def seek(self, offset, whence=os.SEEK_SET):
        return 0 if whence == os.SEEK_END else super().seek(offset, whence)


def test_a_file_that_hides_its_size():
    source = body_source(SaysZero(b"abc"))
    assert (source.length, drain(source)) == (None, b"abc")


def test_a_pipe():
    read_end, write_end = os.pipe()
    os.write(write_end, b"through")
    os.close(write_end)
    with open(read_end, "rb") as file:
        source = body_source(file)
        assert (source.length, source.rewindable) == (None, False)
        assert drain(source) == b"through"
        with pytest.raises(hpool.UnrewindableBodyError):
            source.rewind()


def test_a_text_file_goes_out_as_utf_8():
    source = body_source(io.StringIO("grün"))
    assert source.length is None
    assert drain(source) == "grün".encode()
    source.rewind()
    assert drain(source) == "grün".encode()


class Announced:
    """What builds a body while it is read, and knows how long it will be."""

    len = 7

    def __init__(self):
        self.pieces = [b"built", b"up", b""]

    def read(self, size=-1):
        return self.pieces.pop(0)


def test_an_object_with_len():
    source = body_source(Announced())
    assert (source.length, source.rewindable) == (7, False)
    assert drain(source) == b"builtup"


def test_a_closed_file():
    file = io.BytesIO(b"x")
    source = body_source(file)
    file.close()
    with pytest.raises(ValueError, match="closed file"):
        source.next()
    with pytest.raises(hpool.UnrewindableBodyError, match="closed file"):
        source.rewind()


def test_an_iterable_that_says_its_length():
    class Announced:
        len = 3

        def __iter__(self):
            return iter([b"ab", b"c"])

    source = body_source(Announced())
    assert (source.length, drain(source)) == (3, b"abc")


def test_a_list_has_a_length_and_can_be_sent_again():
    source = body_source([b"a", "ü", b"", bytearray(b"c"), memoryview(b"d")])
    assert (source.length, source.rewindable) == (5, True)
    assert drain(source) == "aücd".encode()
    source.rewind()
    assert drain(source) == "aücd".encode()


def test_an_iterator():
    source = body_source(piece for piece in [b"", b"a", b"", "ü", b"", b"c"])
    assert (source.length, source.rewindable) == (None, False)
    pieces = list(iter(source.next, b""))
    assert pieces == [b"a", "ü".encode(), b"c"]  # none of them empty
    assert source.next() == b""
    with pytest.raises(hpool.UnrewindableBodyError):
        source.rewind()


def test_the_producer_s_own_exception_passes_through():
    def broken():
        yield b"a"
        raise LookupError("mine")

    source = body_source(broken())
    assert source.next() == b"a"
    with pytest.raises(LookupError, match="mine"):
        source.next()


@pytest.mark.parametrize("wrong", [3, None, [b"x"]])
def test_pieces_of_a_wrong_kind(wrong):
    with pytest.raises(TypeError, match="data/content: the iterator gave"):
        body_source(iter([wrong])).next()
    with pytest.raises(TypeError, match="data/content: the list gave"):
        body_source([wrong])


class ReadsNothing:
    def read(self, size=-1):
        return None


def test_a_file_of_a_wrong_kind():
    with pytest.raises(TypeError, match=r"data/content: read\(\) gave NoneType"):
        body_source(ReadsNothing()).next()


@pytest.mark.parametrize("wrong", [3, {"a": 1}, object()])
def test_what_is_no_body(wrong):
    with pytest.raises(TypeError, match="data/content takes bytes, str, a file"):
        body_source(wrong)


def test_a_buffer_of_wide_items_is_its_bytes():
    wide = memoryview(array.array("I", [1]))
    assert drain(body_source(iter([wide]))) == bytes(wide)


def test_files_are_read_in_large_pieces():
    source = body_source(io.BytesIO(bytes(1_000_000)))
    assert len(source.next()) == _prepare.PIECE
