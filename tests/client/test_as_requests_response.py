"""Responses as people use them, side by side with requests: what a status
means, raw as a file, iteration, pickles, and fakes made by hand in tests."""

import datetime
import gzip
import io
import pickle
import shutil
import tarfile

import pytest
import requests

import hpool
from tests.client.side_by_side import LINES, answer, fixed, run
from tests.server.scripted import serve

SNIPPETS = []


def snippet(function):
    SNIPPETS.append(function)
    return function


# ---- what is said ------------------------------------------------------------


@snippet
def statuses(requests, url):
    for code in (200, 201, 204, 206, 301, 302, 303, 304, 307, 308, 400, 404, 418, 500, 503):
        kind = "redirect" if code in (301, 302, 303, 307, 308) else "status"
        r = requests.get(f"{url}/{kind}/{code}", allow_redirects=False)
        yield r.status_code, r.ok, bool(r), repr(r), r.reason
        yield r.is_redirect, r.is_permanent_redirect
        yield r.next and (r.next.method, r.next.url)
        try:
            yield r.raise_for_status() and None
        except requests.HTTPError as error:
            yield str(error), error.response is r, error.request is r.request


@snippet
def next_is_sent(requests, url):
    s = requests.Session()
    r = s.post(url + "/redirect/307", data="x", allow_redirects=False)
    yield s.send(r.next).json()["body"]
    r = s.post(url + "/redirect/303", data="x", allow_redirects=False)
    yield s.send(r.next).json()


@snippet
def links(requests, url):
    yield requests.get(url + "/links").links
    yield requests.get(url + "/links").links["next"]["url"]
    yield requests.get(url).links


@snippet
def elapsed(requests, url):
    r = requests.get(url)
    yield type(r.elapsed), datetime.timedelta(0) < r.elapsed


@snippet
def apparent_encoding(requests, url):
    text = requests.get(url + "/latin1")
    text.encoding = text.apparent_encoding
    yield isinstance(text.text, str)
    yield requests.get(url + "/bom").apparent_encoding.lower()
    yield requests.get(url + "/utf16").apparent_encoding.lower()


@snippet
def a_body_that_was_sent(requests, url):
    yield requests.post(url, data={"a": "b c"}).request.body
    yield requests.post(url, data="text").request.body
    yield requests.post(url, data=b"bytes").request.body
    yield requests.post(url, json={"a": 1}).request.body.replace(b" ", b"")
    yield requests.get(url).request.body
    yield requests.Request("POST", url, data={"a": "b"}).prepare().body
    yield requests.get(url + "/a?b=c").request.path_url


# ---- raw ---------------------------------------------------------------------


@snippet
def raw_is_a_file(requests, url):
    r = requests.get(url + "/bytes", stream=True)
    raw = r.raw
    yield raw.read(3), raw.tell(), raw.closed, raw.isclosed(), raw.read(0), raw.tell()
    yield raw.version, raw.status, raw.reason, raw.decode_content
    yield raw.headers["content-length"], raw.headers.get("none")
    yield raw.readable(), raw.read(100)[:2], raw.tell()
    yield len(raw.read()), raw.tell(), raw.closed, raw.isclosed()
    yield raw.read(), raw.read(5), list(raw.stream(10))


@snippet
def raw_until_it_is_closed(requests, url):
    """The loop that must end."""
    r = requests.get(url + "/bytes", stream=True)
    got = b""
    while not r.raw.closed:
        got += r.raw.read(1000)
    yield got == bytes(range(256)) * 20
    r = requests.get(url + "/chunked", stream=True)
    got = b""
    while not r.raw.isclosed():
        got += r.raw.read(2)
    yield got


@snippet
def raw_of_a_coded_body(requests, url):
    r = requests.get(url + "/gzip", stream=True)
    yield r.raw.read(2), r.raw.tell()
    rest = r.raw.read()
    yield r.raw.tell() == 2 + len(rest)
    r = requests.get(url + "/gzip", stream=True)
    length = int(r.headers["content-length"])
    yield r.raw.read(decode_content=True), r.raw.tell() == length
    r = requests.get(url + "/gzip", stream=True)
    yield r.content, r.raw.tell() == length
    r = requests.get(url + "/gzip", stream=True)
    yield b"".join(r.iter_content(7)), r.raw.tell() == length
    r = requests.get(url + "/gzip", stream=True)
    r.raw.decode_content = True
    target = io.BytesIO()
    shutil.copyfileobj(r.raw, target)
    yield target.getvalue(), r.raw.closed
    r = requests.get(url + "/gzip", stream=True)
    yield gzip.GzipFile(fileobj=r.raw).read()


@snippet
def raw_streamed(requests, url):
    r = requests.get(url + "/bytes", stream=True)
    yield [len(c) for c in r.raw.stream(1000)], list(r.raw.stream(1000))
    r = requests.get(url + "/gzip", stream=True)
    yield b"".join(r.raw.stream(7, decode_content=True))
    r = requests.get(url + "/chunked", stream=True)
    yield b"".join(r.raw.read_chunked())


@snippet
def raw_lines(requests, url):
    yield list(requests.get(url + "/lines", stream=True).raw)
    raw = requests.get(url + "/lines", stream=True).raw
    yield raw.readline(), raw.tell(), raw.readline(3), raw.readlines(), raw.readline()
    with requests.get(url + "/lines", stream=True).raw as raw:
        yield raw.read(2)
    yield raw.closed


@snippet
def raw_of_an_archive(requests, url):
    r = requests.get(url + "/tar", stream=True)
    with tarfile.open(fileobj=r.raw, mode="r|gz") as archive:
        yield [(m.name, archive.extractfile(m).read()) for m in archive]


@snippet
def raw_given_back(requests, url):
    s = requests.Session()
    r = s.get(url + "/bytes", stream=True)
    r.raw.read(10)
    r.raw.release_conn()
    r.close()
    yield s.get(url).ok


# ---- iteration ---------------------------------------------------------------


@snippet
def content_in_pieces(requests, url):
    r = requests.get(url + "/bytes")
    yield [len(c) for c in r.iter_content(1000)], [len(c) for c in r.iter_content(None)]
    yield len(list(r.iter_content(1)))
    r = requests.get(url + "/bytes", stream=True)
    yield [len(c) for c in r.iter_content(chunk_size=1000)]
    r = requests.get(url + "/bytes", stream=True)
    yield sum(len(c) for c in r.iter_content(None))
    r = requests.get(url + "/utf8", stream=True)
    yield list(r.iter_content(2, decode_unicode=True))
    yield list(requests.get(url + "/utf8").iter_content(3, True))
    for wrong in (0.5, "1"):
        try:
            r.iter_content(wrong)
        except TypeError:
            yield "TypeError"


@snippet
def lines_of_content(requests, url):
    r = requests.get(url + "/lines")
    yield list(r.iter_lines()), list(r.iter_lines(512, False))
    yield list(r.iter_lines(delimiter=b":")), list(r.iter_lines(delimiter=b"no such"))
    r = requests.get(url + "/utf8")
    yield list(r.iter_lines(decode_unicode=True)), list(r.iter_lines(1, True, "€x"))
    r = requests.get(url + "/lines", stream=True)
    yield next(r.iter_lines())


# ---- pickles -----------------------------------------------------------------


@snippet
def pickled(requests, url):
    s = requests.Session()
    r = s.get(url + "/login")
    copy = pickle.loads(pickle.dumps(r))
    yield copy.status_code, copy.reason, copy.url, copy.ok, copy.content, copy.json()
    yield dict(copy.headers) == dict(r.headers), copy.headers["CONTENT-TYPE"]
    yield copy.elapsed == r.elapsed, copy.cookies.get_dict(), copy.encoding
    yield [h.status_code for h in copy.history], copy.history[0].cookies.get_dict()
    yield copy.request.method, copy.request.url, dict(copy.request.headers)["Accept"]
    yield len(list(copy.iter_content(10))) > 1, copy.raise_for_status() and None
    try:
        requests.get(url + "/status/404").raise_for_status()
    except requests.HTTPError as error:
        copy = pickle.loads(pickle.dumps(error))
        yield str(copy), copy.response.status_code, copy.request.url


# ---- what is put on them -----------------------------------------------------


@snippet
def attributes(requests, url):
    """What a hook leaves for who made the call."""

    def parse(response, **how):
        response.data = response.json()["method"]
        response._content = response.content.replace(b"GET", b"PUT")

    r = requests.get(url, hooks={"response": parse})
    yield r.data, r.json()["method"], vars(r)["data"], hasattr(r, "none")
    del r.data
    yield hasattr(r, "data")


@snippet
def fakes(requests, url):
    """As tests make them."""
    r = requests.Response()
    yield r.status_code, r.history
    r.status_code = 404
    r.reason = "Not Here"
    r.url = "http://a.test/x"
    r._content = b'{"a": 1}'
    r.encoding = "utf-8"
    r.headers = {"Content-Type": "application/json"}
    r.elapsed = datetime.timedelta(seconds=2)
    r.request = requests.Request("GET", "http://a.test/x").prepare()
    r.history = [requests.Response()]
    yield r.ok, r.json(), r.text, r.content, len(list(r.iter_content(3)))
    yield r.elapsed.total_seconds(), r.request.method, len(r.history), repr(r)
    yield r.headers["Content-Type"], r.url, list(r.iter_lines())
    try:
        r.raise_for_status()
    except requests.HTTPError as error:
        yield str(error)


# ---- sent again --------------------------------------------------------------


@snippet
def a_hook_that_answers_a_401(requests, url):
    """Auth that is written so: what comes back counts, and its cookies."""

    class Guess(requests.auth.AuthBase):
        def __call__(self, request):
            request.register_hook("response", self.handle_401)
            return request

        def handle_401(self, r, **kwargs):
            if r.status_code != 401:
                return r
            r.content
            r.raw.release_conn()
            again = r.request.copy()
            jar = requests.cookies.RequestsCookieJar()
            requests.cookies.extract_cookies_to_jar(jar, r.request, r.raw)
            again.prepare_cookies(jar)
            again.headers["Authorization"] = "Token x"
            answer = r.connection.send(again, **kwargs)
            answer.history.append(r)
            answer.request = again
            return answer

    s = requests.Session()
    s.auth = Guess()
    r = s.post(url + "/token", data="body")
    yield r.status_code, [h.status_code for h in r.history], r.content
    yield r.request.headers["Authorization"], s.cookies.get_dict()
    r = s.post(url + "/token", data="body", stream=True)
    yield r.raw.read(1), [h.status_code for h in r.history]


@snippet
def digest_by_hand(requests, url):
    auth = requests.auth.HTTPDigestAuth("user", "pass")
    r = requests.get(url + "/authorized", hooks={"response": lambda r, **how: None})
    if hasattr(auth, "init_per_thread_state"):
        auth.init_per_thread_state()
        auth._thread_local.num_401_calls = 1
    again = auth.handle_401(r)
    yield r.status_code, again.status_code, [h.status_code for h in again.history]
    yield auth.handle_401(again) is again


@pytest.mark.parametrize("function", SNIPPETS, ids=lambda f: f.__name__)
def test_side_by_side(function, server):
    saw, got = run(function, requests, server)
    own_saw, own_got = run(function, hpool, server)
    assert own_got == got
    assert own_saw == saw


# ---- beyond requests, or otherwise -------------------------------------------


def test_what_has_come_stays_what_it_was(server):
    r = hpool.get(server([serve(answer)]).url)
    for name in ("status_code", "reason", "url", "headers", "elapsed", "cookies"):
        with pytest.raises(AttributeError, match=f"{name} cannot be assigned"):
            setattr(r, name, getattr(r, name))
        with pytest.raises(AttributeError, match=f"cannot delete {name}"):
            delattr(r, name)
    r.request, r.history = r.request.copy(), [r]  # as auth in hooks does
    assert r.request.url == r.url and r.history == [r]
    with pytest.raises(TypeError, match="_content takes bytes"):
        r._content = "text"
    assert r.ok


@pytest.mark.parametrize(
    ("name", "wrong", "error"),
    [
        ("status_code", "200", TypeError),
        ("status_code", 99, ValueError),
        ("reason", b"x", TypeError),
        ("url", 1, TypeError),
        ("headers", 1, TypeError),
        ("history", 1, TypeError),
        ("elapsed", 1, AttributeError),
    ],
)
def test_wrong_values_of_a_fake(name, wrong, error):
    r = hpool.Response(200, url="http://a.test/")
    with pytest.raises(error):
        setattr(r, name, wrong)
    assert (r.status_code, r.url, r.history) == (200, "http://a.test/", [])


def test_content_put_in_place_of_a_stream(server):
    """By a hook, before the body was read; file-like reads begin anew."""

    def replace(response, **how):
        response._content = b"other\nlines"

    s = server([serve(answer)])
    r = hpool.Session().get(s.url + "/bytes", hooks={"response": replace})
    assert r.content == r.read() == b"other\nlines"
    r._content = b"x"
    assert r.readline() == b"x" and r.raw.tell() == 1
    with hpool.Client().get(s.url + "/bytes", hooks={"response": replace}) as r:
        assert list(r) == [b"other\n", b"lines"]


def test_attributes_do_not_travel():
    """As requests has it: they may be anything."""
    r = hpool.Response(200, content=b"x")
    r.data = lambda: None
    copy = pickle.loads(pickle.dumps(r))
    assert copy.content == b"x" and not hasattr(copy, "data")


def test_attributes_in_a_cycle_are_collected():
    import gc
    import weakref

    r = hpool.Response(200)
    r.me = r
    gone = weakref.ref(r)
    del r
    gc.collect()
    assert gone() is None


def test_raw_under_a_text_wrapper(server):
    """urllib3's closes itself at its end, and the last line is lost; here only
    a read() that finds the end says so."""
    s = server([serve(fixed(LINES))])
    r = hpool.get(s.url, stream=True)
    lines = list(io.TextIOWrapper(io.BufferedReader(r.raw), newline="\n"))
    assert "".join(lines) == LINES.decode()


def test_lines_of_coded_bytes_are_refused(server):
    s = server([serve(fixed(gzip.compress(b"a\nb"), Content_Encoding="gzip"))])
    r = hpool.get(s.url, stream=True)
    with pytest.raises(ValueError, match="decode_content = True"):
        r.raw.readline()
    r.raw.decode_content = True
    assert list(r.raw) == [b"a\n", b"b"]


def test_tell_while_lines_are_read(server):
    """What was fetched ahead does not count; a coded body counts as it came."""
    body = b"line\n" * 1000
    s = server([serve(fixed(body)), serve(fixed(gzip.compress(body), Content_Encoding="gzip"))])
    r = hpool.get(s.url, stream=True)
    assert [(r.raw.readline(), r.raw.tell()) for _ in range(2)] == [
        (b"line\n", 5),
        (b"line\n", 10),
    ]
    assert len(r.raw.read()) == r.raw.tell() - 10 == len(body) - 10
    assert hpool.Response(200, content=b"abc").raw.tell() == 0


def test_tell_of_a_body_that_comes_in_pieces(server):
    """For a progress bar: the bytes that came, not those they stand for."""
    packed = gzip.compress(bytes(200_000))
    s = server([serve(fixed(packed, Content_Encoding="gzip"))])
    r = hpool.get(s.url, stream=True)
    seen = []
    for _ in r.iter_content(50_000):
        seen.append(r.raw.tell())
    assert seen == sorted(seen) and seen[-1] == len(packed)


def test_what_a_connection_says_is_not_whose_it_is(server):
    s = server([serve(answer)])
    client = hpool.Client()
    r = client.get(s.url, stream=False)
    copy = pickle.loads(pickle.dumps(r.connection))
    assert copy == r.connection and "client" not in repr(copy)
    request = hpool.Request("GET", s.url).prepare()
    assert r.connection.send(request).json()["method"] == "GET"
    r = client.post(s.url, data=io.BytesIO(b"file"), stream=False)
    assert r.connection.send(r.request).json()["body"] == "file"
    info = r.connection
    del client, r
    for gone in (copy, info, hpool.Response(200).connection):
        with pytest.raises(RuntimeError, match="gone"):
            gone.send(request)
