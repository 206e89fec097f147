"""The tree of errors: who is whose child, and what survives a pickle."""

import builtins
import copy
import errno
import inspect
import json
import pickle
import subprocess
import sys

import pytest

import hpool
from hpool import errors, exceptions
from hpool._records import Timings
from hpool.policy.request import PreparedRequest

CLASSES = sorted(
    {
        value
        for name in errors.__all__
        if issubclass(value := getattr(errors, name), hpool.RequestException)
    },
    key=lambda cls: cls.__name__,
)


@pytest.mark.parametrize(
    ("name", "parents"),
    [
        ("HTTPError", ["RequestException"]),
        ("ConnectionError", ["TransportError", builtins.ConnectionError]),
        ("ProxyError", ["ConnectionError"]),
        ("SSLError", ["ConnectionError", "ConnectError"]),
        ("NameResolutionError", ["ConnectionError", "ConnectError"]),
        ("ConnectError", ["ConnectionError"]),
        ("ReadError", ["ConnectionError"]),
        ("WriteError", ["ConnectionError"]),
        ("TimeoutException", ["TransportError", builtins.TimeoutError]),
        ("ConnectTimeout", ["ConnectionError", "TimeoutException"]),
        ("ReadTimeout", ["TimeoutException"]),
        ("WriteTimeout", ["TimeoutException"]),
        ("PoolTimeout", ["TimeoutException"]),
        ("TotalTimeout", ["TimeoutException"]),
        ("QueueFull", ["TransportError"]),
        ("LocalProtocolError", ["ProtocolError"]),
        ("RemoteProtocolError", ["ProtocolError"]),
        ("ServerDisconnected", ["ConnectionError", "RemoteProtocolError"]),
        ("ChunkedEncodingError", ["RemoteProtocolError"]),
        ("IncompleteRead", ["ChunkedEncodingError"]),
        ("ContentDecodingError", ["RequestError"]),
        ("TooManyRedirects", ["RequestError"]),
        ("InvalidURL", ["RequestException", ValueError]),
        ("InvalidProxyURL", ["InvalidURL"]),
        ("MissingSchema", ["RequestException", ValueError]),
        ("InvalidSchema", ["RequestException", ValueError]),
        ("InvalidHeader", ["RequestException", ValueError]),
        ("InvalidMethod", ["RequestException", ValueError]),
        ("InvalidArgument", ["RequestException", ValueError]),
        ("StreamConsumedError", ["RequestException", TypeError]),
        ("InvalidJSONError", ["RequestException", ValueError]),
        ("JSONDecodeError", ["InvalidJSONError", json.JSONDecodeError]),
        ("ClosedError", ["RequestException", ValueError]),
        ("ConcurrentUse", ["RequestException", RuntimeError]),
        ("ForkedError", ["RequestException", RuntimeError]),
        ("Cancelled", ["RequestException"]),
        ("InsecureRequestWarning", [Warning]),
        ("LimitsWarning", [UserWarning]),
    ],
)
def test_parents(name, parents):
    cls = getattr(hpool, name)
    for parent in parents:
        parent = getattr(hpool, parent) if isinstance(parent, str) else parent
        assert issubclass(cls, parent)


def test_a_cancelled_request_is_no_transport_error():
    # What retries transport errors must not retry what was called off.
    assert not issubclass(hpool.Cancelled, hpool.TransportError)


@pytest.mark.parametrize(
    ("httpx_name", "ours"),
    [
        ("HTTPStatusError", "HTTPError"),
        ("NetworkError", "ConnectionError"),
        ("DecodingError", "ContentDecodingError"),
        ("UnsupportedProtocol", "InvalidSchema"),
        ("StreamConsumed", "StreamConsumedError"),
        ("StreamClosed", "ClosedError"),
    ],
)
def test_names_of_httpx(httpx_name, ours):
    assert getattr(hpool, httpx_name) is getattr(hpool, ours)


def test_names_of_requests_in_exceptions():
    requests = pytest.importorskip("requests")
    for name, theirs in vars(requests.exceptions).items():
        if not inspect.isclass(theirs) or name.startswith("_"):
            continue
        if issubclass(theirs, requests.RequestException):
            ours = getattr(exceptions, name)
            for parent in theirs.__mro__:
                if issubclass(parent, requests.RequestException):
                    assert issubclass(
                        ours, getattr(exceptions, parent.__name__)
                    )


def test_timeout_is_settings_here_and_an_error_there():
    assert exceptions.Timeout is hpool.TimeoutException
    assert hpool.Timeout is hpool.config.Timeout


def test_all_is_public_and_sorted():
    for module in (errors, exceptions, hpool):
        assert module.__all__ == sorted(module.__all__)
        assert set(errors.__all__) <= set(module.__all__)
    for name in errors.__all__:
        assert getattr(hpool, name) is getattr(errors, name)
        assert getattr(exceptions, name) is getattr(errors, name)
    with pytest.raises(AttributeError, match="NoSuchError"):
        _ = errors.NoSuchError
    with pytest.raises(AttributeError, match="NoSuchError"):
        _ = exceptions.NoSuchError
    with pytest.raises(AttributeError, match="NoSuchError"):
        _ = hpool.NoSuchError


def facts(error):
    """All it carries; a request as what it says."""
    request = error.request
    said = (request.method, request.url, request.headers, request.body)
    return {**error.__dict__, "request": said}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_travels_with_all_it_carries(cls):
    before = cls(
        "no luck",
        request=PreparedRequest("GET", "http://a.test/", {"A": "b"}, b"body"),
        phase="head",
        timings=Timings(started=0.0, sent=1.5),
        attempts=2,
        host="|http|a.test:80",
        reason="io_error",
    )
    for after in (pickle.loads(pickle.dumps(before)), copy.copy(before)):
        assert type(after) is cls
        assert str(after) == "no luck"
        assert after.args == ("no luck",)
        assert facts(after) == facts(before)
        assert (after.attempts, after.phase) == (2, "head")
        assert after.request.body == b"body"
        assert after.timings.sent == 1.5


def test_a_json_error_travels():
    before = hpool.JSONDecodeError("Expecting value", "x", 0, phase="body")
    after = pickle.loads(pickle.dumps(before))
    assert type(after) is hpool.JSONDecodeError
    assert str(after) == "Expecting value: line 1 column 1 (char 0)"
    assert (after.msg, after.doc, after.pos) == ("Expecting value", "x", 0)
    assert (after.lineno, after.phase) == (1, "body")


def test_errno_survives():
    before = hpool.ConnectError("refused")
    before.errno = errno.ECONNREFUSED
    after = pickle.loads(pickle.dumps(before))
    assert (str(after), after.errno) == ("refused", errno.ECONNREFUSED)
    two = pickle.loads(pickle.dumps(hpool.ReadError(errno.EIO, "broken")))
    assert (two.errno, two.strerror) == (errno.EIO, "broken")


class Streaming:
    """A response whose body is still on its way."""

    request = PreparedRequest("GET", "http://a.test/")

    def __reduce_ex__(self, protocol):
        raise TypeError("unread")


def test_an_unread_response_stays_behind():
    before = hpool.HTTPError("404", response=Streaming())
    assert before.request is Streaming.request
    after = pickle.loads(pickle.dumps(before))
    assert after.response is None
    assert after.request.url == Streaming.request.url
    assert before.response is not None


def test_no_arguments_is_fine():
    error = hpool.ReadTimeout()
    assert str(error) == ""
    assert error.request is error.response is error.phase is error.host is None
    assert error.attempts == 1


def test_unknown_attributes_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        hpool.ReadTimeout("x", colour="red")


def test_import_is_light():
    heavy = {
        "asyncio",
        "certifi",
        "dataclasses",
        "email",
        "http.cookiejar",
        "idna",
        "inspect",
        "json",
        "logging",
        "re",
        "ssl",
        "typing",
        "urllib.parse",
    }
    # -S: what site imports is none of ours.
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import sys, hpool; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{hpool.__path__[0]}/.."},
    )
    assert heavy.isdisjoint(done.stdout.split())
