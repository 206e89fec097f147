"""`import hpool as requests`: the names, and what the small functions give."""

import io
import pickle
import subprocess
import sys

import pytest
import requests

import hpool

# requests' own machinery, which shows up there but is nothing to import.
NOT_OURS = {
    "": {
        "DependencyWarning",
        "NullHandler",
        "RequestsDependencyWarning",
        "_check_cryptography",
        "_internal_utils",
        "_types",
        "annotations",
        "certs",
        "chardet_version",
        "charset_normalizer_version",
        "check_compatibility",
        "compat",
        "logging",
        "packages",
        "ssl",
        "urllib3",
        "warnings",
    },
    "exceptions": {
        "Any",
        "BaseHTTPError",
        "CompatJSONDecodeError",
        "TYPE_CHECKING",
        "annotations",
    },
}


@pytest.mark.parametrize("module", ["", "exceptions"])
def test_every_public_name_is_here(module):
    theirs = getattr(requests, module) if module else requests
    ours = getattr(hpool, module) if module else hpool
    names = {n for n in dir(theirs) if not n.startswith("__")}
    missing = {n for n in names - NOT_OURS[module] if not hasattr(ours, n)}
    assert missing == set()


@pytest.mark.parametrize(
    "name",
    [n for n in dir(requests.exceptions) if hasattr(hpool.exceptions, n)],
)
def test_exceptions_have_the_same_parents(name):
    """What `except` catches there, it catches here."""
    theirs = getattr(requests.exceptions, name)
    if not isinstance(theirs, type):
        return
    ours = getattr(hpool.exceptions, name)
    for parent in theirs.__mro__:
        if parent.__module__ == "requests.exceptions":
            assert issubclass(ours, getattr(hpool.exceptions, parent.__name__))
        elif parent.__module__ == "builtins":
            assert issubclass(ours, parent)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("auth", "AuthBase HTTPBasicAuth HTTPDigestAuth HTTPProxyAuth"),
        ("structures", "CaseInsensitiveDict LookupDict"),
        (
            "cookies",
            "RequestsCookieJar cookiejar_from_dict create_cookie merge_cookies "
            "extract_cookies_to_jar get_cookie_header remove_cookie_by_name "
            "CookieConflictError",
        ),
        ("models", "Request PreparedRequest Response"),
        ("sessions", "Session session"),
        ("api", "request get options head post put patch delete"),
        ("hooks", "default_hooks"),
        (
            "utils",
            "quote unquote urlparse requote_uri get_encoding_from_headers "
            "default_headers default_user_agent dict_from_cookiejar "
            "add_dict_to_cookiejar cookiejar_from_dict parse_header_links "
            "parse_dict_header parse_list_header get_netrc_auth "
            "to_key_val_list from_key_val_list super_len guess_filename "
            "guess_json_utf iter_slices urldefragauth get_auth_from_url",
        ),
    ],
)
def test_names_of_modules(module, names):
    theirs = getattr(requests, module)
    ours = getattr(hpool, module)
    for name in names.split():
        assert hasattr(theirs, name)
        assert hasattr(ours, name), name


def test_codes_are_those_of_requests():
    theirs = vars(requests.codes)
    ours = vars(hpool.codes)
    assert theirs.items() <= ours.items()
    assert hpool.codes.ok == hpool.codes["OK"] == 200
    assert hpool.codes["no such"] is None
    assert hpool.codes.get("no such", 1) == 1
    with pytest.raises(AttributeError, match="no_such"):
        hpool.codes.no_such  # noqa: B018
    assert hpool.status_codes.codes is hpool.codes


@pytest.mark.parametrize(
    "call",
    [
        lambda u: u.requote_uri("http://a/b c/%41%2f%7e?é=%C3"),
        lambda u: u.requote_uri("http://a/%zz d"),
        lambda u: u.urldefragauth("http://u:p@a/b#c"),
        lambda u: u.get_auth_from_url("http://u%40:p%20p@a/b"),
        lambda u: u.get_auth_from_url("http://a/b"),
        lambda u: u.get_encoding_from_headers({"content-type": "text/html"}),
        lambda u: u.get_encoding_from_headers(
            {"content-type": "text/html; charset='ascii'"}
        ),
        lambda u: u.get_encoding_from_headers(
            {"content-type": "application/json"}
        ),
        lambda u: u.get_encoding_from_headers({"content-type": "image/png"}),
        lambda u: u.get_encoding_from_headers({}),
        lambda u: u.parse_header_links(
            '<http://a/1,2>; rel=front; type="x/y", <http://b>; rel="next"'
        ),
        lambda u: u.parse_list_header('a, "b, c" ,d'),
        lambda u: u.parse_dict_header('a="b, c", d, e=f'),
        lambda u: u.to_key_val_list({"a": 1}),
        lambda u: u.to_key_val_list([("a", 1)]),
        lambda u: u.to_key_val_list(None),
        lambda u: dict(u.from_key_val_list([("a", 1)])),
        lambda u: u.super_len(b"abc"),
        lambda u: u.super_len("ä"),
        lambda u: u.super_len(io.BytesIO(b"abcd")),
        lambda u: u.super_len(moved(io.BytesIO(b"abcd"), 1)),
        lambda u: u.super_len(iter(())),
        lambda u: u.guess_filename(open(__file__, "rb")),
        lambda u: u.guess_filename(io.BytesIO()),
        lambda u: u.guess_json_utf('{"a": 1}'.encode("utf-16")),
        lambda u: u.guess_json_utf('{"a": 1}'.encode("utf-32-le")),
        lambda u: u.guess_json_utf(b"[1]"),
        lambda u: list(u.iter_slices("abcde", 2)),
        lambda u: list(u.iter_slices("abcde", None)),
        lambda u: u.default_user_agent("me").partition("/")[0],
        lambda u: sorted(u.default_headers())[:2],
        lambda u: u.dict_from_cookiejar(u.cookiejar_from_dict({"a": "b"})),
        lambda u: u.dict_from_cookiejar(
            u.add_dict_to_cookiejar(u.cookiejar_from_dict({"a": "b"}), {"a": "c"})
        ),
        lambda u: u.dict_from_cookiejar(
            u.cookiejar_from_dict(
                {"a": "1"}, u.cookiejar_from_dict({"a": "0"}), overwrite=False
            )
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_utils_give_the_same(call):
    assert call(hpool.utils) == call(requests.utils)


def test_the_length_of_text_is_in_bytes():
    """requests counts characters, and so announces too little."""
    file = moved(io.StringIO("äb"), 0)
    assert (hpool.utils.super_len(file), file.tell()) == (3, 0)


def moved(file, at):
    file.seek(at)
    return file


@pytest.mark.parametrize("value", ["text", b"bytes", 1, True])
def test_what_is_no_pairs(value):
    for utils in (hpool.utils, requests.utils):
        with pytest.raises(ValueError):
            utils.to_key_val_list(value)


def test_netrc_auth(tmp_path, monkeypatch):
    file = tmp_path / "netrc"
    file.write_text("machine a.test login u password p\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    for utils in (hpool.utils, requests.utils):
        assert utils.get_netrc_auth("http://a.test/x") == ("u", "p")
        assert utils.get_netrc_auth("http://b.test/x") is None
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert hpool.utils.get_netrc_auth("http://a.test/x") is None


@pytest.mark.parametrize("module", [hpool, requests])
def test_case_insensitive_dict(module):
    d = module.structures.CaseInsensitiveDict({"Accept": 1}, b=2)
    d["ACCEPT"] = 3
    assert list(d.items()) in ([("ACCEPT", 3), ("b", 2)], [("b", 2), ("ACCEPT", 3)])
    assert d["accept"] == d.get("Accept") == 3
    assert "aCCept" in d
    assert d == {"accept": 3, "B": 2} == d.copy()
    assert dict(d.lower_items()) == {"accept": 3, "b": 2}
    del d["Accept"]
    assert (len(d), repr(d)) == (1, "{'b': 2}")
    assert d != 1
    assert pickle.loads(pickle.dumps(d)) == d


def test_cookie_functions():
    jar = hpool.cookies.RequestsCookieJar()
    jar.set_cookie(hpool.cookies.create_cookie("a", "1", domain="a.test"))
    hpool.cookies.merge_cookies(jar, {"a": "2", "b": "3"})
    assert jar.get_dict() == {"a": "1", "b": "3"}
    request = hpool.Request("GET", "http://a.test/").prepare()
    assert hpool.cookies.get_cookie_header(jar, request) == "a=1; b=3"
    hpool.cookies.remove_cookie_by_name(jar, "a")
    response = hpool.Response(
        200, headers={"Set-Cookie": "c=4"}, url="http://a.test/"
    )
    hpool.cookies.extract_cookies_to_jar(jar, request, response)
    assert jar.get_dict() == {"b": "3", "c": "4"}


def test_modules_come_when_they_are_asked_for():
    code = (
        "import sys, hpool\n"
        "assert not [m for m in sys.modules if m.startswith('hpool.') and\n"
        "    m.split('.')[1] in hpool._ON_DEMAND]\n"
        "assert hpool.codes.ok == 200\n"
        "import hpool as requests\n"
        "from hpool.auth import HTTPBasicAuth\n"
        "requests.utils.quote, requests.sessions.Session\n"
        "from hpool import *\n"
        "assert isinstance(requests.session(), requests.Session)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
