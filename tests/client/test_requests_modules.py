"""`import hpool as requests`: every public name of requests' modules is here, or
is in LEFT_OUT with a reason.

What a module of requests has imported for itself is looked for where it comes
from, not wherever it shows up; but for the names in ALSO_HERE, which code takes
from there.
"""

import importlib
import pkgutil
from types import ModuleType

import pytest
import requests

import hpool

URLLIB3 = "urllib3's, which hpool does without"
INSIDE = "a part of how requests works inside"
CORE = "HTTPAdapter's connections are the core's affair"
OLD = "of old Pythons or old versions of urllib3"

LEFT_OUT = {
    "": {
        "check_compatibility": "there are no such dependencies",
        "chardet_version": "there are no such dependencies",
        "charset_normalizer_version": "there are no such dependencies",
        "DependencyWarning": URLLIB3,
        "RequestsDependencyWarning": "in exceptions",
    },
    "adapters": {
        "DEFAULT_CA_BUNDLE_PATH": "in utils",
        "DEFAULT_POOL_TIMEOUT": "Timeout(pool=) says it",
        "basestring": OLD,
    },
    "auth": {
        "CONTENT_TYPE_FORM_URLENCODED": INSIDE,
        "CONTENT_TYPE_MULTI_PART": INSIDE,
        "basestring": OLD,
    },
    "compat": {
        "has_simplejson": "simplejson is not looked for",
        "is_urllib3_1": OLD,
        "urllib3_version": URLLIB3,
    },
    "cookies": {
        "MockRequest": "the jar reads requests and responses as they are",
        "MockResponse": "the jar reads requests and responses as they are",
    },
    "models": {
        "RequestEncodingMixin": INSIDE,
        "basestring": OLD,
    },
    "packages": {
        "mod": INSIDE,
        "package": INSIDE,
        "target": INSIDE,
    },
    "sessions": {
        "DEFAULT_PORTS": "in utils",
        "SessionRedirectMixin": "its methods are Session's",
        "merge_hooks": INSIDE,
    },
    "utils": {
        "HEADER_VALIDATORS": "check_header_validity() is what asks them",
        "atomic_open": "extract_zipped_paths() needs no such help",
        "integer_types": OLD,
        "is_urllib3_1": OLD,
    },
}

# Modules of requests that are not here.
NO_MODULES = {
    "help": "python -m hpool says what it is and runs on",
}

# What a module of requests has from elsewhere, and code imports from it.
ALSO_HERE = {
    "sessions": "PreparedRequest Request",
    "models": "REDIRECT_STATI",
    "utils": "CaseInsensitiveDict InvalidHeader InvalidURL cookiejar_from_dict "
    "UnrewindableBodyError FileModeWarning quote unquote urlparse urlunparse "
    "getproxies getproxies_environment proxy_bypass proxy_bypass_environment "
    "to_native_string",
    "compat": "JSONDecodeError Mapping MutableMapping Callable Morsel OrderedDict "
    "StringIO builtin_str bytes cookielib json parse_http_list quote quote_plus "
    "str unquote unquote_plus urldefrag urlencode urljoin urlparse urlsplit "
    "urlunparse getproxies getproxies_environment proxy_bypass "
    "proxy_bypass_environment",
    "certs": "where",
    "packages": "urllib3",
}

MODULES = ["", *(m.name for m in pkgutil.iter_modules(requests.__path__))]


def theirs(name):
    return importlib.import_module(f"requests.{name}" if name else "requests")


def ours(name):
    return importlib.import_module(f"hpool.{name}" if name else "hpool")


def is_own(module, name):
    """Whether it is the module's own, not something it has imported."""
    value = getattr(module, name)
    if isinstance(value, ModuleType):
        return value.__name__.rpartition(".")[0] == module.__name__
    home = getattr(value, "__module__", None)
    if module is requests:
        return not (home or "").partition(".")[0] in ("logging", "warnings")
    return home in (None, module.__name__)


def public_names(name):
    module = theirs(name)
    names = {n for n in dir(module) if not n.startswith("_")}
    own = {n for n in names if is_own(module, n)}
    return (own | set(ALSO_HERE.get(name, "").split())) - {
        "TYPE_CHECKING",
        "annotations",
        "SOCKSProxyManager",  # requests' own where PySocks is not installed
    }


@pytest.mark.parametrize(
    "module",
    [m for m in MODULES if not m.startswith("_") and m not in NO_MODULES],
)
def test_every_public_name_is_here(module):
    missing = {n for n in public_names(module) if not hasattr(ours(module), n)}
    assert missing == set(LEFT_OUT.get(module, {}))


def test_modules_that_are_not_here():
    for name in NO_MODULES:
        assert name in MODULES
        assert not hasattr(hpool, name)


@pytest.mark.parametrize(
    ("of", "ours", "left_out"),
    [
        (
            requests.Session,
            hpool.Session,
            {},
        ),
        (
            requests.Response,
            hpool.Response,
            {
                "__attrs__": "a read response is pickled as it is",
            },
        ),
        (requests.Request, hpool.Request, {}),
        (requests.PreparedRequest, hpool.PreparedRequest, {}),
        (
            requests.adapters.HTTPAdapter,
            hpool.adapters.HTTPAdapter,
            dict.fromkeys(
                "build_connection_pool_key_attributes build_response cert_verify "
                "get_connection get_connection_with_tls_context proxy_headers "
                "proxy_manager_for request_url".split(),
                CORE,
            ),
        ),
        (
            requests.cookies.RequestsCookieJar,
            hpool.cookies.RequestsCookieJar,
            dict.fromkeys(
                "iteritems iterkeys itervalues".split(), OLD
            )
            | dict.fromkeys(
                "add_cookie_header clear_expired_cookies clear_session_cookies "
                "domain_re dots_re get_policy magic_re make_cookies non_word_re "
                "quote_re set_cookie_if_ok set_policy strict_domain_re".split(),
                "an instance has those of the standard library's jar",
            ),
        ),
        (
            requests.structures.CaseInsensitiveDict,
            hpool.structures.CaseInsensitiveDict,
            {},
        ),
        (requests.exceptions.RequestException, hpool.RequestException, {}),
        (
            requests.auth.HTTPDigestAuth,
            hpool.auth.HTTPDigestAuth,
            dict.fromkeys(
                "build_digest_header handle_redirect "
                "init_per_thread_state".split(),
                "its flow() does all of it",
            ),
        ),
        (requests.auth.HTTPBasicAuth, hpool.auth.HTTPBasicAuth, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_public_attribute_is_here(of, ours, left_out):
    """Those of the class; what __init__ puts on an instance is compared where
    it is used."""
    names = {n for n in dir(of) if not n.startswith("_") or n == "__attrs__"}
    assert {n for n in names if not hasattr(ours, n)} == set(left_out)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (requests.Session(), hpool.Session()),
        (requests.Response(), hpool.Response(200)),
        (requests.Request("GET"), hpool.Request("GET")),
        (requests.PreparedRequest(), hpool.PreparedRequest()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_attribute_of_an_instance_is_here(theirs, ours):
    names = {n for n in vars(theirs) if not n.startswith("_")}
    assert names and {n for n in names if not hasattr(ours, n)} == set()
