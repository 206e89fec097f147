"""Which transport serves a URL, when it is not the client's own pool."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from .._core import Response
from .._redact import url_for_text
from ..config import Timeout
from ..errors import InvalidArgument, InvalidSchema, RequestException
from .lock import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core import Client
    from .request import PreparedRequest


class Mounts(Mapping[str, Any]):
    """{prefix: transport}, immutable. The most specific prefix that fits a URL
    says which one serves it; None is the client's own pool."""

    def __init__(self, mounts: Mapping[str, Any]) -> None:
        self._mounts = dict(mounts)
        prefixes = [(Prefix(name), t) for name, t in self._mounts.items()]
        for name, transport in self._mounts.items():
            _check(name, transport)
        self._prefixes = sorted(prefixes, key=lambda pair: pair[0].rank)

    def find(self, url: str) -> Any:
        """The transport for `url`, or None."""
        parts = _parts(url)
        for prefix, transport in self._prefixes:
            if prefix.fits(*parts):
                return transport
        return None

    def close(self) -> None:
        """Closes all transports that can be closed."""
        for transport in {id(t): t for t in self._mounts.values()}.values():
            close = getattr(transport, "close", None)
            if close is not None:
                close()

    def __getitem__(self, prefix: str) -> Any:
        return self._mounts[prefix]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mounts)

    def __len__(self) -> int:
        return len(self._mounts)

    def __repr__(self) -> str:
        return repr(self._mounts)


def _check(name: str, transport: Any) -> None:
    fits = any(hasattr(transport, m) for m in ("send", "handle_request"))
    if transport is None or fits and not isinstance(transport, type):
        return
    raise TypeError(
        f"mounts[{name!r}] must be an object with send(request, **how) or "
        f"handle_request(request), or None, not {type(transport).__name__}"
    )


# ---- prefixes ----------------------------------------------------------------


def _parts(url: str) -> tuple[str, str, str, str]:
    """(scheme, host, port as it stands there, the rest), as they compare."""
    scheme, _, rest = url.partition("://")
    end = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
    netloc = rest[:end].rpartition("@")[2].lower()
    host, colon, port = netloc.rpartition(":")
    if not colon or not (port.isdecimal() or port == ""):
        host, port = netloc, ""
    return scheme.lower(), host, port, rest[end:]


_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Prefix:
    """A prefix of URLs, a pattern for hosts perhaps in it.

    A host is a whole name: "https://a.test" is not "https://a.test.evil".
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or "://" not in text:
            raise InvalidArgument(
                'a prefix is "https://", "https://host/path" or "all://host", '
                f"not {text!r}"
            )
        self.scheme, host, self.port, self.path = _parts(text)
        self.below = host.startswith("*")  # those below the host fit
        self.itself = not host.startswith("*.")
        self.host = host.removeprefix("*").removeprefix(".")

    @property
    def rank(self) -> tuple[Any, ...]:
        """The first one that fits serves."""
        return (
            not self.port,
            -len(self.host),
            self.below,
            -len(self.path),
            self.scheme == "all",
        )

    def fits(self, scheme: str, host: str, port: str, path: str) -> bool:
        if self.scheme not in ("all", scheme):
            return False
        if self.port not in ("", port or _DEFAULT_PORTS.get(scheme, "")):
            return False
        return self._fits_host(host) and path.startswith(self.path)

    def _fits_host(self, host: str) -> bool:
        if not self.host:
            return True
        if self.itself and host == self.host:
            return True
        return self.below and host.endswith("." + self.host)


# ---- of a client -------------------------------------------------------------


def mount(client: Client, prefix: str, transport: Any) -> None:
    """See Client.mount."""
    with lock:
        client.mounts = {**client.mounts, prefix: transport}


def get_adapter(client: Client, url: str) -> Any:
    """See Client.get_adapter."""
    from .adapters import NOTHING
    from .http_adapter import HTTPAdapter

    mounts = client.mounts
    found = mounts.find(url) if isinstance(mounts, Mounts) else None
    scheme = _parts(url)[0]
    if found is NOTHING or (found is None and scheme not in _DEFAULT_PORTS):
        raise InvalidSchema(
            f"nothing is mounted for {url_for_text(url)}; without it http and "
            "https are served"
        )
    if found is None:
        found = HTTPAdapter._of(client, f"{scheme}://")
    return found


# ---- sending -----------------------------------------------------------------


def send(
    transport: Any,
    request: PreparedRequest,
    default_timeout: Timeout,
    how: dict[str, Any],
) -> Any:
    """Has `transport` send it; its answer as a Response."""
    from .http_adapter import HTTPAdapter

    if not hasattr(transport, "send"):
        return _handle(transport, request)
    if not isinstance(transport, HTTPAdapter):
        how["timeout"] = _pair(how["timeout"], default_timeout)
    return as_response(transport.send(request, **how), request)


def _pair(timeout: Any, default: Timeout) -> Any:
    """A timeout as any adapter understands it. None would mean for ever to
    what is not ours."""
    if timeout is None:
        timeout = default
    if isinstance(timeout, Timeout):
        return timeout.connect, timeout.read
    return timeout


def _handle(transport: Any, request: PreparedRequest) -> Any:
    """httpx's form; who is written for httpx is given what it has there."""
    module = _httpx_of(transport)
    asked: Any = request
    if module is not None:
        headers, content = request.headers.raw, request.read()
        asked = module.Request(
            request.method, request.url, headers=headers, content=content
        )
    answer = transport.handle_request(asked)
    try:
        if module is not None:
            answer.read()
        return as_response(answer, request)
    finally:
        if module is not None:
            answer.close()


def _httpx_of(transport: Any) -> Any:
    for cls in type(transport).__mro__:
        name = cls.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return sys.modules[name]
    return None


def as_response(answer: Any, request: PreparedRequest) -> Any:
    """A Response of ours with what is in `answer`, of whatever library; one
    that has come from a connection of ours as it is."""
    if isinstance(answer, Response) and answer.url:
        return answer
    status = getattr(answer, "status_code", None)
    if not isinstance(status, int):
        raise TypeError(
            "a transport must return a Response, not " + type(answer).__name__
        )
    version = getattr(answer, "http_version", "HTTP/1.1")
    theirs = _is_theirs(answer)
    return Response(
        status,
        headers=_fields(answer),
        content=answer.content,
        url=request.url,
        method=request.method,
        request=request,
        reason=_reason(answer),
        http_version=version,
        elapsed=getattr(answer, "elapsed", None) if theirs else None,
    )


def _is_theirs(answer: Any) -> bool:
    return type(answer).__module__.partition(".")[0] == "requests"


def _reason(answer: Any) -> str:
    reason = getattr(answer, "reason_phrase", None)
    if reason is None:
        reason = getattr(answer, "reason", None)
    return reason or ""


def _fields(answer: Any) -> Any:
    """Its header fields, repeated ones apart where that can be had."""
    headers = answer.headers
    if hasattr(headers, "multi_items"):
        return headers.multi_items()
    raw = getattr(getattr(answer, "raw", None), "headers", None)
    return list((headers if raw is None else raw).items())


def with_request(error: BaseException, request: PreparedRequest) -> None:
    """What is raised for a request names it, as the core's errors do."""
    if isinstance(error, RequestException) and error.request is None:
        error.request = request
