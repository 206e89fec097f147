"""Timeout, Limits and TLS: what they take, what they refuse, what they mean."""

import copy
import decimal
import fractions
import pickle
import ssl
import types
import warnings

import pytest

import hpool
from hpool.config import parse_timeout

PHASES = ("connect", "tls", "pool", "write", "response_header", "read")
DEFAULTS = {
    "total": None,
    "connect": 10.0,
    "tls": 10.0,
    "pool": 30.0,
    "write": 60.0,
    "response_header": 60.0,
    "read": 60.0,
    "expect_continue": 1.0,
    "min_rate": None,
}


def fields(value):
    return {name: getattr(value, name) for name in value.__slots__}


# ---- Timeout ----------------------------------------------------------------


def test_timeout_defaults():
    assert fields(hpool.Timeout()) == DEFAULTS


@pytest.mark.parametrize(
    "number", [5, 5.0, decimal.Decimal(5), fractions.Fraction(5)]
)
def test_a_number_is_each_phase_and_no_total(number):
    expected = DEFAULTS | dict.fromkeys(PHASES, 5.0)
    assert fields(parse_timeout(number)) == expected
    assert fields(hpool.Timeout(number)) == expected


def test_none_is_no_limits_at_all():
    # expect_continue ends in sending the body, so it is no limit.
    expected = dict.fromkeys(DEFAULTS) | {"expect_continue": 1.0}
    assert fields(parse_timeout(None)) == expected


def test_a_pair_is_connect_and_read():
    expected = DEFAULTS | {"connect": 3.0, "tls": 3.0, "read": 0.3}
    assert fields(parse_timeout((3, 0.3))) == expected
    assert fields(parse_timeout([3, 0.3])) == expected


@pytest.mark.parametrize(
    ("read", "head"), [(0.3, 60.0), (60, 60.0), (300, 300.0), (None, None)]
)
def test_a_head_may_take_as_long_as_a_read(read, head):
    # requests knows no limit on the head: read=300 means 300 s for it, too.
    assert parse_timeout((5, read)).response_header == head
    assert parse_timeout((5, read, 5, 5)).response_header == head
    assert hpool.Timeout(read=read).response_header == head
    assert hpool.Timeout(read=read, response_header=7).response_header == 7.0


def test_four_are_in_the_order_of_httpx():
    t = parse_timeout((1, 2, 3, 4))
    assert (t.connect, t.tls, t.read, t.write, t.pool) == (1, 1, 2, 3, 4)


def test_three_are_ambiguous():
    with pytest.raises(ValueError, match="write limit or the total"):
        parse_timeout((1, 2, 3))


@pytest.mark.parametrize("value", [(), (1,), (1, 2, 3, 4, 5)])
def test_other_tuples_are_refused(value):
    with pytest.raises(hpool.InvalidArgument, match=r"\(connect, read\)"):
        parse_timeout(value)


@pytest.mark.parametrize("value", [0, -1, 0.0, float("nan"), float("inf"), 2**2000])
def test_no_such_time(value):
    with pytest.raises(ValueError, match="timeout takes seconds above zero"):
        parse_timeout(value)
    with pytest.raises(ValueError, match="timeout: read takes seconds"):
        parse_timeout((1, value))
    for name in ("total", "expect_continue", *PHASES):
        with pytest.raises(ValueError, match=f"{name} takes seconds above"):
            hpool.Timeout(**{name: value})


@pytest.mark.parametrize("value", [True, "5", b"5", object(), {}, 1j])
def test_no_number_at_all(value):
    with pytest.raises(TypeError, match="timeout takes seconds"):
        parse_timeout(value)
    with pytest.raises(TypeError, match="connect takes seconds above zero"):
        hpool.Timeout(connect=value)


def test_fields_over_a_base():
    t = hpool.Timeout(5, connect=2, total=9)
    assert fields(t) == DEFAULTS | dict.fromkeys(PHASES, 5.0) | {
        "connect": 2.0,
        "total": 9.0,
    }
    only_total = hpool.Timeout(None, total=30)
    assert only_total.total == 30.0
    assert only_total.read is only_total.pool is None
    assert hpool.Timeout(5, read=300).response_header == 300.0
    assert hpool.Timeout(5, read=2).response_header == 5.0


def test_min_rate():
    assert hpool.Timeout(min_rate=(1000, 5)).min_rate == (1000.0, 5.0)
    for value in (1000, (1,), (1, 2, 3), "ab", (1, None)):
        with pytest.raises(TypeError, match="min_rate takes"):
            hpool.Timeout(min_rate=value)
    for value in ((0, 1), (1, 0), (-1, 1), (1, float("nan"))):
        with pytest.raises(ValueError, match="min_rate takes"):
            hpool.Timeout(min_rate=value)


def test_a_timeout_is_taken_as_it_is():
    t = hpool.Timeout(total=3)
    assert parse_timeout(t) is t


def test_httpx_timeout_is_read():
    theirs = types.SimpleNamespace(connect=1, read=2, write=None, pool=4)
    t = parse_timeout(theirs)
    assert (t.connect, t.tls, t.read, t.write, t.pool) == (1, 1, 2, None, 4)


def test_the_real_httpx_timeout_is_read():
    httpx = pytest.importorskip("httpx")
    t = parse_timeout(httpx.Timeout(7, connect=2))
    assert (t.connect, t.read, t.write, t.pool) == (2, 7, 7, 7)


@pytest.mark.parametrize(
    ("given", "connect", "read", "head"),
    [
        ({"connect": 2, "read": 3}, 2, 3, 60),
        ({"connect": 2}, 2, 60, 60),
        ({"connect": None, "read": None}, None, None, None),
        ({"total": 4}, 4, 4, 4),
        ({"total": 4, "connect": 1, "read": 9}, 1, 4, 4),
    ],
)
def test_urllib3_timeout_is_read(given, connect, read, head):
    urllib3 = pytest.importorskip("urllib3")
    t = parse_timeout(urllib3.Timeout(**given))
    assert (t.connect, t.tls, t.read) == (connect, connect, read)
    assert t.response_header == head
    # Not ours: urllib3's does not bound a body that keeps coming.
    assert t.total is None


# ---- values -----------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        hpool.Timeout(total=3, min_rate=(1, 2)),
        hpool.Limits(max_conns=7),
        hpool.TLS(min_version="1.3", fingerprint=b"x" * 32),
    ],
    ids=lambda value: type(value).__name__,
)
def test_settings_are_values(value):
    assert pickle.loads(pickle.dumps(value)) == value
    assert hash(pickle.loads(pickle.dumps(value))) == hash(value)
    assert copy.copy(value) is copy.deepcopy(value) is value
    assert value != type(value)()
    assert value != 3
    name = value.__slots__[0]
    with pytest.raises(AttributeError, match=f"immutable: cannot set '{name}'"):
        setattr(value, name, 1)
    with pytest.raises(AttributeError, match="immutable: cannot delete"):
        delattr(value, name)
    with pytest.raises(AttributeError):
        value.no_such_field = 1
    made_again = eval(repr(value), {type(value).__name__: type(value)})
    assert made_again == value


# ---- Limits -----------------------------------------------------------------


def test_limits_defaults():
    assert fields(hpool.Limits()) == {
        "max_conns": None,
        "max_conns_per_host": None,
        "max_idle_conns": 100,
        "max_idle_conns_per_host": None,
        "idle_conn_timeout": 90.0,
        "max_conn_age": None,
        "max_requests_per_conn": None,
        "disable_keepalives": False,
        "max_waiting": None,
        "idle_order": "lifo",
        "drain_bytes": 262144,
        "drain_timeout": 0.05,
    }


def test_limits_of_go_are_go_s():
    # net/http: DefaultTransport and DefaultMaxIdleConnsPerHost
    assert fields(hpool.Limits.go()) == fields(hpool.Limits()) | {
        "max_conns_per_host": None,  # MaxConnsPerHost: 0, none
        "max_idle_conns": 100,  # MaxIdleConns
        "max_idle_conns_per_host": 2,  # MaxIdleConnsPerHost
        "idle_conn_timeout": 90.0,  # IdleConnTimeout
        "disable_keepalives": False,  # DisableKeepAlives
    }


POSITIVE = ("max_conns", "max_conns_per_host", "max_requests_per_conn")
COUNTS = ("max_idle_conns", "max_idle_conns_per_host", "max_waiting", "drain_bytes")
TIMES = ("idle_conn_timeout", "drain_timeout")


@pytest.mark.parametrize("name", [*POSITIVE, *COUNTS, *TIMES, "max_conn_age"])
def test_limits_none_is_no_limit_and_negative_is_nothing(name):
    assert getattr(hpool.Limits(**{name: None}), name) is None
    with pytest.raises(hpool.InvalidArgument, match=f"{name} takes .* not -1"):
        hpool.Limits(**{name: -1})
    for wrong in ("1", True, object()):
        with pytest.raises(TypeError, match=f"{name} takes "):
            hpool.Limits(**{name: wrong})


@pytest.mark.parametrize("name", [*COUNTS, *TIMES])
def test_limits_zero_is_none_at_all(name):
    with warnings.catch_warnings():
        # max_idle_conns=0 is below nothing; the per-host one is not above it.
        warnings.simplefilter("error")
        assert getattr(hpool.Limits(**{name: 0}), name) == 0


@pytest.mark.parametrize("name", [*POSITIVE, "max_conn_age"])
def test_limits_zero_that_would_stop_everything(name):
    with pytest.raises(ValueError, match=f"{name} takes "):
        hpool.Limits(**{name: 0})


@pytest.mark.parametrize("name", [*POSITIVE, *COUNTS])
def test_limits_count_whole_things(name):
    with pytest.raises(TypeError, match=f"{name} takes a whole number"):
        hpool.Limits(**{name: 1.5})


def test_limits_other_refusals():
    with pytest.raises(ValueError, match='"lifo" or "fifo"'):
        hpool.Limits(idle_order="random")
    with pytest.raises(TypeError, match="disable_keepalives takes True or"):
        hpool.Limits(disable_keepalives=1)


@pytest.mark.parametrize(
    ("per_host", "overall"),
    [
        ("max_conns_per_host", "max_conns"),
        ("max_idle_conns_per_host", "max_idle_conns"),
    ],
)
def test_limits_that_contradict_each_other_warn(per_host, overall):
    with pytest.warns(hpool.LimitsWarning, match=f"{per_host}=20 is above") as w:
        hpool.Limits(**{per_host: 20, overall: 10})
    assert w[0].filename == __file__
    hpool.Limits(**{per_host: 10, overall: 10})
    hpool.Limits(**{per_host: 1000, overall: None})


# ---- TLS --------------------------------------------------------------------


def test_tls_versions():
    assert hpool.TLS().min_version is None
    for spelling in ("TLSv1.2", "1.2", "tlsv1.2", 0x0303, ssl.TLSVersion.TLSv1_2):
        assert hpool.TLS(min_version=spelling).min_version == 0x0303
    assert hpool.TLS(max_version=ssl.TLSVersion.TLSv1_3).max_version == 0x0304
    lowest = ssl.TLSVersion.MINIMUM_SUPPORTED
    assert hpool.TLS(min_version=lowest).min_version is None
    for wrong in ("TLSv1", "1.1", "", 0x0302, 1.2, True):
        with pytest.raises(ValueError, match='min_version takes "TLSv1.2"'):
            hpool.TLS(min_version=wrong)
    with pytest.raises(ValueError, match="above max_version"):
        hpool.TLS(min_version="1.3", max_version="1.2")


@pytest.mark.parametrize("name", ["ciphers", "ciphersuites", "groups"])
def test_tls_lists(name):
    assert getattr(hpool.TLS(**{name: "A:B"}), name) == "A:B"
    assert getattr(hpool.TLS(**{name: ["A", "B"]}), name) == "A:B"
    for wrong in (3, b"A", [1]):
        with pytest.raises(TypeError, match=f"{name} takes a string or"):
            hpool.TLS(**{name: wrong})
    for wrong in ("", [], "A\0B"):
        with pytest.raises(ValueError, match=f"{name} is empty"):
            hpool.TLS(**{name: wrong})


def test_tls_fingerprint():
    raw = bytes(range(32))
    for given in (raw, raw.hex(), raw.hex(":"), raw.hex(":").upper()):
        assert hpool.TLS(fingerprint=given).fingerprint == raw
    for wrong in (b"short", "00", "zz" * 32):
        with pytest.raises(ValueError, match="fingerprint takes a SHA-256"):
            hpool.TLS(fingerprint=wrong)
    with pytest.raises(TypeError, match="fingerprint takes a SHA-256"):
        hpool.TLS(fingerprint=3)


def test_tls_alpn():
    assert hpool.TLS().alpn is None
    assert hpool.TLS(alpn=()).alpn == ()
    assert hpool.TLS(alpn="http/1.1").alpn == ("http/1.1",)
    assert hpool.TLS(alpn=["h2", "http/1.1"]).alpn == ("h2", "http/1.1")
    assert hpool.TLS(alpn=["a" * 255, "http/1.1"]).alpn[0] == "a" * 255
    for wrong in (3, b"http/1.1", [b"http/1.1"], True):
        with pytest.raises(TypeError, match="alpn takes names of protocols"):
            hpool.TLS(alpn=wrong)
    for wrong in ("", ["http/1.1", ""], ["http/1.1", "a" * 256], ["h\0", "http/1.1"]):
        with pytest.raises(ValueError, match="a name is 1 to 255 ASCII"):
            hpool.TLS(alpn=wrong)
    with pytest.raises(ValueError, match="a name is 1 to 255 ASCII"):
        hpool.TLS(alpn=["\u00e4", "http/1.1"])
    for wrong in ("h2", ["h2", "http/1.0"]):
        with pytest.raises(ValueError, match='"http/1.1" is the one that is spoken'):
            hpool.TLS(alpn=wrong)


def test_tls_server_hostname():
    assert hpool.TLS(server_hostname="a.test").server_hostname == "a.test"
    with pytest.raises(TypeError, match="server_hostname takes a string"):
        hpool.TLS(server_hostname=b"a.test")
