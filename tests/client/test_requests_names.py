"""`import hpool as requests`: what stands behind the names, side by side."""

import io
import os
import pickle
import subprocess
import sys
import time
import zipfile
from http.cookies import SimpleCookie

import httpx
import pytest
import requests

import hpool

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


def test_codes_have_httpx_s_names_too():
    for code in httpx.codes:
        if code.name != "REQUEST_URI_TOO_LONG":  # which requests gives to 122
            assert getattr(hpool.codes, code.name) == code.value


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
        lambda u: [u.unquote_unreserved(t) for t in ("%7e%41%2f%C3 x", "%4", "%")],
        lambda u: [u.requote_uri(t) for t in ("a b%zz", "%4", "%%41", "a[1]#%")],
        lambda u: u.prepend_scheme_if_needed("example.com/path", "http"),
        lambda u: u.prepend_scheme_if_needed("http://example.com?q", "https"),
        lambda u: [
            u.unquote_header_value(t)
            for t in (r'"a\"b\\\\"', "plain", '""', r'"\\\\unc\path"')
        ],
        lambda u: u.unquote_header_value(r'"\\unc\path"', True),
        lambda u: u.unquote_header_value(r'"a\"b"', True),
        lambda u: u.address_in_network("192.168.1.1", "192.168.1.0/24"),
        lambda u: u.address_in_network("172.16.0.1", "192.168.1.0/24"),
        lambda u: [u.dotted_netmask(n) for n in (1, 8, 24, 31, 32)],
        lambda u: [u.is_ipv4_address(t) for t in ("8.8.8.8", "8.8.8.8.8", "a", "::1")],
        lambda u: [
            u.is_valid_cidr(t)
            for t in ("10.0.0.0/8", "10.0.0.0", "10.0.0.0/0", "10.0.0.0/33",
                      "10.0.0.0/x", "10.0.0.999/8", "10.0.0.0/8/8", "/8")
        ],
        lambda u: u.get_encodings_from_content(PAGE),
        lambda u: u.get_encodings_from_content("nothing"),
        lambda u: u.get_unicode_from_response(answered("text/plain; charset=utf-8")),
        lambda u: u.get_unicode_from_response(answered("text/plain; charset=utf-16")),
        lambda u: [
            refused(u.check_header_validity, h, u.InvalidHeader)
            for h in (("a", "b"), ("a", b"c"), (b"a", "ä"), ("a", ""), ("a", "b\n"),
                      ("a", " b"), (" a", "b"), ("a:", "b"), ("", "b"), ("a", 1),
                      (b"a\r", b"b"), ("a", None), ("a", "b\rc"))
        ],
        lambda u: list(u.dict_to_sequence({"a": 1})) + u.dict_to_sequence([1]),
        lambda u: [u.to_native_string(t) for t in ("a", b"a")],
        lambda u: [
            list(u.stream_decode_response_unicode(iter(PIECES), encoded(e)))
            for e in ("utf-8", None, "ascii")
        ],
        lambda u: [
            u.select_proxy("http://a.test:8080/x", p)
            for p in (None, {}, {"http": "1"}, {"all": "2"}, {"https": "3"},
                      {"http://a.test": "4", "http": "5", "all": "6"},
                      {"all://a.test": "7", "all": "8"}, {"http": None})
        ],
        lambda u: u.select_proxy("file:///x", {"all": "1"}),
        lambda u: (u.NETRC_FILES, u.DEFAULT_PORTS, u.UNRESERVED_SET),
        lambda u: (u.getproxies, u.getproxies_environment, u.proxy_bypass),
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
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_utils_give_the_same(call):
    assert call(hpool.utils) == call(requests.utils)


PAGE = """<?xml version="1.0" encoding="cp1252"?>
<META charset='utf-8'><meta http-equiv="x" content="text/html; charset=latin1"><meta name="x" content="charset">"""

PIECES = [b"a\xc3", b"\xa4\xff", b"\xe2\x82"]


def answered(content_type):
    headers = {"Content-Type": content_type}
    return hpool.Response(200, headers=headers, content="ä")


def encoded(encoding):
    response = requests.Response()
    response.encoding = encoding
    return response


def refused(function, argument, error):
    try:
        return function(argument)
    except error:
        return "refused"


def test_a_header_that_is_refused_is_not_told():
    with pytest.raises(hpool.InvalidHeader, match="the value of") as caught:
        hpool.utils.check_header_validity(("Authorization", "secret\n"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("module", [hpool, requests])
def test_proxies_of_the_environment(module, monkeypatch):
    utils = module.utils
    monkeypatch.setenv("http_proxy", "http://p.test:1")
    monkeypatch.setenv("no_proxy", "none.test,10.0.0.0/8,port.test:81")
    for host, bypass in (
        ("a.test", False),
        ("none.test", True),
        ("b.none.test", True),
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("port.test:81", True),
        ("port.test", False),
    ):
        url = f"http://{host}/"
        assert utils.should_bypass_proxies(url, None) is bypass
        found = utils.get_environ_proxies(url)
        assert found.get("http") == (None if bypass else "http://p.test:1")
    assert utils.should_bypass_proxies("http://a.test/", "a.test")
    assert utils.get_environ_proxies("http://a.test/", "a.test") == {}
    request = module.Request("GET", "http://a.test/").prepare()
    resolve = utils.resolve_proxies
    assert resolve(request, None)["http"] == "http://p.test:1"
    assert resolve(request, {"http": "x"}) == {"http": "x"}
    assert resolve(request, {"no_proxy": "a.test"}) == {"no_proxy": "a.test"}
    assert resolve(request, None, trust_env=False) == {}


def test_this_machine_is_not_asked_through_the_environments_proxies(monkeypatch):
    """As a client decides; requests asks even its own machine there."""
    monkeypatch.setenv("http_proxy", "http://p.test:1")
    assert hpool.utils.get_environ_proxies("http://localhost/") == {}
    assert requests.utils.get_environ_proxies("http://localhost/") != {}


@pytest.mark.parametrize("module", [hpool, requests])
def test_a_path_into_an_archive(module, tmp_path):
    extract = module.utils.extract_zipped_paths
    archive = tmp_path / "a.zip"
    inside = f"deep/{module.__name__}-{os.getpid()}.pem"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(inside, "here")
    with open(extract(f"{archive}/{inside}")) as file:
        assert file.read() == "here"
    for path in (str(archive), f"{archive}/none", "/none/at/all", "none", ""):
        assert extract(path) == path


def test_what_was_extracted_is_ours_and_goes_with_the_process(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("x.pem", "here")
    code = (
        "import os, sys, hpool\n"
        "extract = hpool.utils.extract_zipped_paths\n"
        "path = extract(sys.argv[1])\n"
        "assert extract(sys.argv[1]) == path\n"
        "assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0\n"
        "print(path)\n"
        "if os.fork() == 0:\n"
        "    sys.exit()\n"
        "os.wait()\n"
        "assert os.path.exists(path)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, f"{archive}/x.pem"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    path = ran.stdout.splitlines()[0]
    assert path.endswith("x.pem") and not os.path.exists(os.path.dirname(path))


@pytest.mark.parametrize("module", [hpool, requests])
def test_a_variable_for_a_while(module, monkeypatch):
    monkeypatch.setenv("HPOOL_TEST", "before")
    with module.utils.set_environ("HPOOL_TEST", "x"):
        assert os.environ["HPOOL_TEST"] == "x"
    assert os.environ["HPOOL_TEST"] == "before"
    with module.utils.set_environ("HPOOL_TEST", None):
        assert os.environ["HPOOL_TEST"] == "before"
    monkeypatch.delenv("HPOOL_TEST")
    with module.utils.set_environ("HPOOL_TEST", "x"):
        pass
    assert "HPOOL_TEST" not in os.environ


@pytest.mark.parametrize("module", [hpool, requests])
def test_dispatch_hook(module):
    dispatch = module.hooks.dispatch_hook
    double, none = (lambda data, by=2: data * by), (lambda data, **how: None)
    assert dispatch("response", None, 1) == 1
    assert dispatch("response", {"response": double}, 1, by=3) == 3
    assert dispatch("response", {"response": [double, none, double]}, 1) == 4
    assert dispatch("response", {}, 1) == 1


@pytest.mark.parametrize("module", [hpool, requests])
def test_merge_setting(module):
    merge = module.sessions.merge_setting
    assert merge(None, 1) == merge(1, None) == merge(1, 2) == 1
    merged = merge({"a": "1", "b": None}, {"b": "2", "c": "3"})
    assert dict(merged) == {"a": "1", "c": "3"}
    headers = merge({"A": "1"}, {"a": "2"}, module.structures.CaseInsensitiveDict)
    assert dict(headers) == {"A": "1"}


@pytest.mark.parametrize("module", [hpool, requests])
def test_morsel_to_cookie(module):
    def cookie(text):
        morsel = SimpleCookie(text)["a"]
        return module.cookies.morsel_to_cookie(morsel)

    c = cookie("a=b; Path=/x; Domain=a.test; Secure; HttpOnly; Max-Age=10")
    assert (c.name, c.value, c.path, c.domain, c.secure) == ("a", "b", "/x", "a.test", True)
    assert 0 < c.expires - time.time() <= 10 and c.has_nonstandard_attr("HttpOnly")
    c = cookie("a=b; Expires=Wed, 09-Jun-2021 10:18:14 GMT")
    assert c.expires == 1623233894 and c.is_expired()
    assert cookie("a=b").expires is None


def test_a_cookies_date_as_servers_write_it():
    """requests takes only that of 1994."""
    morsel = SimpleCookie("a=b; Expires=Wed, 09 Jun 2021 10:18:14 GMT")["a"]
    assert hpool.cookies.morsel_to_cookie(morsel).expires == 1623233894


def test_warnings_can_be_disabled_where_people_do_it():
    code = (
        "import hpool as requests, warnings\n"
        "urllib3 = requests.packages.urllib3\n"
        "kind = urllib3.exceptions.InsecureRequestWarning\n"
        "warnings.simplefilter('error')\n"
        "urllib3.disable_warnings(kind)\n"
        "warnings.warn('x', kind)\n"
        "urllib3.disable_warnings()\n"
        "warnings.warn('x', requests.exceptions.RequestsWarning)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_bundle_of_certificates(monkeypatch):
    import certifi

    assert hpool.certs.where() == certifi.where()
    assert hpool.utils.DEFAULT_CA_BUNDLE_PATH == certifi.where()
    monkeypatch.setattr("hpool.certs._bundle", lambda: None)
    monkeypatch.setattr("hpool.certs._SYSTEM", ("/none", __file__))
    assert hpool.certs.where() == __file__
    monkeypatch.setattr("hpool.certs._SYSTEM", ())
    with pytest.raises(FileNotFoundError):
        hpool.certs.where()


def test_compat_is_the_standard_library():
    compat = hpool.compat
    for name in ("urljoin", "quote", "urlencode", "json", "cookielib", "str"):
        assert getattr(compat, name) is getattr(requests.compat, name)
    assert isinstance("x", compat.basestring) and compat.is_py3


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
