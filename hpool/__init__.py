"""hpool: an HTTP client with requests' names and a connection pool in C.

    import hpool

    r = hpool.get("https://api.example.com/data", timeout=5)

    with hpool.Client() as client:
        with client.get(url) as r:
            r.raise_for_status()
            data = r.json()

Kept light: this module and what it imports use no other module of the standard
library; the files of the cold paths are imported when first needed.

(PYTEST_DONT_REWRITE: it is no use warning that this was imported before.)
"""

from __future__ import annotations

from . import errors, exceptions
from ._advice import Advice
from ._core import (
    CancelToken,
    Client,
    Headers,
    Response,
    Session,
    Upgraded,
    configure,
    delete,
    get,
    head,
    options,
    patch,
    post,
    put,
    request,
)
from ._deadline import deadline
from ._leaks import Leak
from ._records import Attempt, ConnectionInfo, Timings
from ._retries import Retries
from ._stats import HostStats, Stats
from .config import TLS, Limits, Timeout
from .errors import *  # noqa: F403

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import adapters as adapters
    from . import api as api
    from . import auth as auth
    from . import certs as certs
    from . import compat as compat
    from . import cookies as cookies
    from . import hooks as hooks
    from . import models as models
    from . import packages as packages
    from . import sessions as sessions
    from . import status_codes as status_codes
    from . import structures as structures
    from . import trace as trace
    from . import utils as utils
    from ._jsonerror import JSONDecodeError as JSONDecodeError
    from .exceptions import FileModeWarning as FileModeWarning
    from .policy.cookies import Cookies as Cookies
    from .policy.mock import MockTransport as MockTransport
    from .policy.flow import USE_LAST_RESPONSE as USE_LAST_RESPONSE
    from .policy.proxy import Proxy as Proxy
    from .policy.request import PreparedRequest as PreparedRequest
    from .policy.request import Request as Request
    from .sessions import session as session
    from .status_codes import codes as codes

__version__ = "0.1.0"
__build__ = 0x023402  # of requests: code asks whose names it can count on

__all__ = [
    "Advice",
    "Attempt",
    "CancelToken",
    "Client",
    "ConnectionInfo",
    "Cookies",
    "Headers",
    "HostStats",
    "JSONDecodeError",
    "Leak",
    "Limits",
    "MockTransport",
    "PreparedRequest",
    "Proxy",
    "Request",
    "Response",
    "Retries",
    "Session",
    "Stats",
    "TLS",
    "Timeout",
    "Timings",
    "USE_LAST_RESPONSE",
    "Upgraded",
    "__version__",
    "codes",
    "configure",
    "deadline",
    "delete",
    "errors",
    "exceptions",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "session",
]
__all__ += errors.__all__
__all__.sort()


# What is imported at its first use, and from where.
_LATE = {
    "Cookies": "policy.cookies",
    "FileModeWarning": "exceptions",
    "MockTransport": "policy.mock",
    "PreparedRequest": "policy.request",
    "Proxy": "policy.proxy",
    "Request": "policy.request",
    "USE_LAST_RESPONSE": "policy.flow",
    "codes": "status_codes",
    "session": "sessions",
}

# Modules that are imported when somebody asks for them.
_ON_DEMAND = (
    "adapters",
    "api",
    "auth",
    "certs",
    "compat",
    "cookies",
    "hooks",
    "models",
    "packages",
    "sessions",
    "status_codes",
    "structures",
    "trace",
    "utils",
)


def __getattr__(name: str) -> Any:
    if name == "JSONDecodeError":
        return errors.JSONDecodeError
    if name in _ON_DEMAND:
        from importlib import import_module

        return import_module(f"hpool.{name}")
    if name in _LATE:
        from importlib import import_module

        value = getattr(import_module(f"hpool.{_LATE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
