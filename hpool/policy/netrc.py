"""Passwords from a netrc file."""

from __future__ import annotations

import os
import threading
import warnings
from urllib.parse import urlsplit

from ..errors import HpoolWarning
from .auth import Auth, basic_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import netrc
    from os import PathLike

    from .request import PreparedRequest

_DEFAULTS = ("~/.netrc", "~/_netrc")


def find_file() -> str | None:
    """$NETRC, else ~/.netrc, else ~/_netrc: the first that exists."""
    named = os.environ.get("NETRC")
    for name in (named,) if named else _DEFAULTS:
        path = os.path.expanduser(name)
        if os.path.exists(path):
            return path
    return None


class NetrcAuth(Auth):
    """Basic authentication with what a netrc file says of a request's host,
    and nothing where it says nothing.

    file  the file's path; left out, $NETRC, ~/.netrc or ~/_netrc

    The file is read once, when it is first needed. An entry counts only with
    a user name and a password both; a header Authorization that is there
    stays. A file that cannot be read or parsed is told once, as HpoolWarning.
    """

    def __init__(self, file: str | PathLike[str] | None = None) -> None:
        self._file = find_file() if file is None else os.fspath(file)
        self._entries: dict[str, tuple[str, str]] | None = None
        self._lock = threading.Lock()

    @classmethod
    def of_parsed(cls, parsed: netrc.netrc) -> NetrcAuth:
        """One that goes by what the standard library has parsed."""
        auth = cls("")
        auth._entries = _entries(parsed)
        return auth

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if "Authorization" not in request.headers:
            pair = self.lookup(urlsplit(request.url).hostname or "")
            if pair is not None:
                request.headers["Authorization"] = basic_value(*pair)
        return request

    def lookup(self, host: str) -> tuple[str, str] | None:
        """(user name, password) for a host, else those of `default`."""
        with self._lock:
            if self._entries is None:
                self._entries = _read(self._file)
        entry = self._entries.get(host.lower())
        if entry is None:
            entry = self._entries.get(_DEFAULT)
        return entry if entry is not None and all(entry) else None

    def __getstate__(self) -> str | None:
        return self._file

    def __setstate__(self, file: str | None) -> None:
        self._file, self._entries = file, None
        self._lock = threading.Lock()


_DEFAULT = "default"  # the parser's own name for it


def _read(file: str | None) -> dict[str, tuple[str, str]]:
    """{host: (user name, password)}; empty for a file that is no use."""
    import netrc

    if file is None:
        return {}
    try:
        return _entries(netrc.netrc(file))
    except netrc.NetrcParseError as exc:
        # Not its text, which holds the word it stumbled over: a password,
        # as like as not.
        _warn(f"{file} is not used: it is malformed near line {exc.lineno}")
    except (OSError, ValueError) as exc:
        _warn(f"{file} is not used: {_reason(exc)}")
    return {}


def _entries(parsed: netrc.netrc) -> dict[str, tuple[str, str]]:
    return {
        host.lower(): (login or "", password or "")
        for host, (login, _, password) in parsed.hosts.items()
    }


def _reason(exc: OSError | ValueError) -> str:
    if isinstance(exc, OSError):
        return exc.strerror or type(exc).__name__
    return "it is not text"


def _warn(text: str) -> None:
    warnings.warn(f"the netrc file {text}", HpoolWarning, stacklevel=2)
