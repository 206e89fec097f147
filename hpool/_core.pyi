"""hpool._core: what the C half offers. Documentation is in the docstrings."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from datetime import timedelta
from http.cookiejar import CookieJar
from os import PathLike
from socket import AddressFamily, socket
from types import TracebackType
from typing import (
    Any,
    Final,
    Literal,
    Protocol,
    TypeAlias,
    final,
    overload,
)

from typing_extensions import Buffer, Self, TypeVar, disjoint_base

from ._advice import Advice
from ._leaks import Leak, Row
from ._records import Attempt, ConnectionInfo, Timings
from ._retries import Retries
from ._stats import Stats
from .config import TLS, Limits, Timeout
from .policy.cookies import Cookies
from .policy.proxies import Proxies
from .policy.proxy import Proxy
from .policy.request import PreparedRequest, Request

_T = TypeVar("_T")

class _SupportsRead(Protocol):
    def read(self, size: int, /) -> bytes | str: ...

_Text: TypeAlias = str | bytes
_HeadersIn: TypeAlias = (
    Mapping[str, _Text | None]
    | Mapping[bytes, _Text | None]
    | Mapping[_Text, _Text | None]
    | Iterable[tuple[_Text, _Text | None]]
)
_ParamsIn: TypeAlias = Mapping[Any, Any] | Iterable[tuple[Any, Any]] | _Text
_DataIn: TypeAlias = (
    Buffer | str | Mapping[Any, Any] | Iterable[Any] | _SupportsRead
)
_ContentIn: TypeAlias = Buffer | str | Iterable[Buffer | str] | _SupportsRead
# A file: bytes, str, a binary file, an iterable of bytes, or a tuple (file
# name, one of these, content type, headers). Any, since a type checker joins the
# kinds in one literal to object.
_FilesIn: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]
# A number, (connect, read), (connect, read, write, pool), a Timeout of ours
# or of another library, None. Left out: the client's.
_TimeoutIn: TypeAlias = Any
# An object with methods named as the events, or a callable (event, info).
_TraceIn: TypeAlias = Any
_VerifyIn: TypeAlias = bool | str | PathLike[str] | bytes | Any
_Dial: TypeAlias = Callable[[str, int, float | None], socket]
_ResolveIn: TypeAlias = Mapping[str, str | Iterable[str]]
_SocketOption: TypeAlias = (
    tuple[int, int, int | Buffer] | tuple[int, int, None, int]
)
# "" and False are none at all.
_ProxyIn: TypeAlias = (
    str | Proxy | Literal[False] | Callable[[str], str | Proxy | None] | Any
)
_ProxiesIn: TypeAlias = (
    Mapping[str, str | Proxy | Literal[False] | None]
    | str
    | Literal[False]
    | Callable[[str], str | Proxy | None]
)
_CertIn: TypeAlias = (
    str | PathLike[str] | tuple[Any, Any] | tuple[Any, Any, Any] | list[Any]
)

_CookiesIn: TypeAlias = (
    Mapping[str, str] | Iterable[tuple[str, str]] | CookieJar
)
_HooksIn: TypeAlias = Mapping[str, Any]
_CheckRedirect: TypeAlias = Callable[[PreparedRequest, list[Response]], Any]

# Also what calls without stream= go by: a bool when it is assigned, and as
# good as one when it is read.
class _Stream(Protocol):
    def __bool__(self) -> bool: ...
    def __call__(
        self,
        method: str,
        url: str,
        *,
        params: _ParamsIn | None = None,
        data: _DataIn | None = None,
        json: Any = None,
        headers: _HeadersIn | None = None,
        content: _ContentIn | None = None,
        timeout: _TimeoutIn = ...,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        auth: Any = None,
        cookies: _CookiesIn | None = None,
        files: _FilesIn | None = None,
        hooks: _HooksIn | None = None,
        event_hooks: _HooksIn | None = None,
        extensions: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...

@disjoint_base
class Client:
    def __init__(
        self,
        *,
        base_url: str = "",
        headers: _HeadersIn | None = None,
        params: _ParamsIn | None = None,
        timeout: _TimeoutIn = ...,
        limits: Limits | None = None,
        retries: Retries | int | None = None,
        verify: _VerifyIn = True,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        trust_env: bool = True,
        decompress: bool = True,
        max_size: int | None = None,
        max_decoded_size: int | None = None,
        default_encoding: str | Callable[[bytes], str] = "utf-8",
        dns_ttl: float | None = 10.0,
        resolve: _ResolveIn | None = None,
        local_address: str | tuple[str, int] | None = None,
        uds: str | bytes | PathLike[str] | None = None,
        family: int | Literal["ipv4", "ipv6"] | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
        dial: _Dial | None = None,
        max_header_bytes: int = 1048576,
        raise_for_status: bool = False,
        leak_warnings: bool | Literal["trace"] = True,
        trace: _TraceIn | None = None,
        auth: Any = None,
        cookies: _CookiesIn | None = None,
        hooks: _HooksIn | None = None,
        event_hooks: _HooksIn | None = None,
        follow_redirects: bool | None = True,
        allow_redirects: bool | None = True,
        max_redirects: int | None = 30,
        check_redirect: _CheckRedirect | None = None,
        mounts: Mapping[str, Any] | None = None,
        transport: Any = None,
        stream: bool = ...,
    ) -> None: ...
    def get(
        self,
        url: str,
        params: _ParamsIn | None = None,
        *,
        data: _DataIn | None = None,
        json: Any = None,
        headers: _HeadersIn | None = None,
        content: _ContentIn | None = None,
        timeout: _TimeoutIn = ...,
        stream: bool | None = None,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        auth: Any = None,
        cookies: _CookiesIn | None = None,
        files: _FilesIn | None = None,
        hooks: _HooksIn | None = None,
        event_hooks: _HooksIn | None = None,
        extensions: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...
    def options(
        self,
        url: str,
        params: _ParamsIn | None = None,
        *,
        data: _DataIn | None = None,
        json: Any = None,
        headers: _HeadersIn | None = None,
        content: _ContentIn | None = None,
        timeout: _TimeoutIn = ...,
        stream: bool | None = None,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        auth: Any = None,
        cookies: _CookiesIn | None = None,
        files: _FilesIn | None = None,
        hooks: _HooksIn | None = None,
        event_hooks: _HooksIn | None = None,
        extensions: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...
    def head(
        self,
        url: str,
        params: _ParamsIn | None = None,
        *,
        data: _DataIn | None = None,
        json: Any = None,
        headers: _HeadersIn | None = None,
        content: _ContentIn | None = None,
        timeout: _TimeoutIn = ...,
        stream: bool | None = None,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        auth: Any = None,
        cookies: _CookiesIn | None = None,
        files: _FilesIn | None = None,
        hooks: _HooksIn | None = None,
        event_hooks: _HooksIn | None = None,
        extensions: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...
    def post(
        self,
        url: str,
        data: _DataIn | None = None,
        json: Any = None,
        *,
        params: _ParamsIn | None = None,
        headers: _HeadersIn | None = None,
        content: _ContentIn | None = None,
        timeout: _TimeoutIn = ...,
        stream: bool | None = None,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        auth: Any = None,
        cookies: _CookiesIn | None = None,
        files: _FilesIn | None = None,
        hooks: _HooksIn | None = None,
        event_hooks: _HooksIn | None = None,
        extensions: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...
    def put(
        self,
        url: str,
        data: _DataIn | None = None,
        *,
        params: _ParamsIn | None = None,
        json: Any = None,
        headers: _HeadersIn | None = None,
        content: _ContentIn | None = None,
        timeout: _TimeoutIn = ...,
        stream: bool | None = None,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        auth: Any = None,
        cookies: _CookiesIn | None = None,
        files: _FilesIn | None = None,
        hooks: _HooksIn | None = None,
        event_hooks: _HooksIn | None = None,
        extensions: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...
    def patch(
        self,
        url: str,
        data: _DataIn | None = None,
        *,
        params: _ParamsIn | None = None,
        json: Any = None,
        headers: _HeadersIn | None = None,
        content: _ContentIn | None = None,
        timeout: _TimeoutIn = ...,
        stream: bool | None = None,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        auth: Any = None,
        cookies: _CookiesIn | None = None,
        files: _FilesIn | None = None,
        hooks: _HooksIn | None = None,
        event_hooks: _HooksIn | None = None,
        extensions: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...
    def delete(
        self,
        url: str,
        params: _ParamsIn | None = None,
        *,
        data: _DataIn | None = None,
        json: Any = None,
        headers: _HeadersIn | None = None,
        content: _ContentIn | None = None,
        timeout: _TimeoutIn = ...,
        stream: bool | None = None,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        auth: Any = None,
        cookies: _CookiesIn | None = None,
        files: _FilesIn | None = None,
        hooks: _HooksIn | None = None,
        event_hooks: _HooksIn | None = None,
        extensions: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...
    def request(
        self,
        method: str,
        url: str,
        params: _ParamsIn | None = None,
        data: _DataIn | None = None,
        headers: _HeadersIn | None = None,
        cookies: _CookiesIn | None = None,
        files: _FilesIn | None = None,
        auth: Any = None,
        timeout: _TimeoutIn = ...,
        allow_redirects: bool | None = None,
        proxies: _ProxiesIn | None = None,
        hooks: _HooksIn | None = None,
        stream: bool | None = None,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        json: Any = None,
        *,
        content: _ContentIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        event_hooks: _HooksIn | None = None,
        extensions: Mapping[str, Any] | None = None,
        follow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...
    @property
    def stream(self) -> _Stream: ...
    @stream.setter
    def stream(self, value: bool) -> None: ...
    def build_request(
        self,
        method: str,
        url: str,
        *,
        params: _ParamsIn | None = None,
        headers: _HeadersIn | None = None,
        data: _DataIn | None = None,
        content: _ContentIn | None = None,
        json: Any = None,
        files: Any = None,
        cookies: _CookiesIn | None = None,
        auth: Any = None,
        hooks: _HooksIn | None = None,
        timeout: _TimeoutIn = ...,
        extensions: Mapping[str, Any] | None = None,
        decompress: bool | None = None,
    ) -> PreparedRequest: ...
    def prepare_request(self, request: Request, /) -> PreparedRequest: ...
    def send(
        self,
        request: PreparedRequest,
        *,
        stream: bool | None = None,
        auth: Any = None,
        timeout: _TimeoutIn = ...,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        cancel: CancelToken | None = None,
        idempotent: bool | None = None,
        retries: Retries | int | None = None,
        decompress: bool | None = None,
        trace: _TraceIn | None = None,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        max_redirects: int | None = None,
        check_redirect: _CheckRedirect | None = None,
    ) -> Response: ...
    def mount(self, prefix: str, transport: Any) -> None: ...
    def get_adapter(self, url: str) -> Any: ...
    def stats(self) -> Stats: ...
    def advise(self) -> list[Advice]: ...
    def leaks(self, older_than: float = 30.0) -> list[Leak]: ...
    def close_idle(self, host: str | None = None) -> int: ...
    def warm(
        self,
        url: str,
        n: int,
        *,
        timeout: _TimeoutIn = ...,
        verify: _VerifyIn | None = None,
        cert: _CertIn | None = None,
        tls: TLS | None = None,
        proxy: _ProxyIn | None = None,
        proxies: _ProxiesIn | None = None,
        cancel: CancelToken | None = None,
    ) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def __getstate__(self) -> tuple[dict[str, Any], dict[str, Any] | None]: ...
    def __setstate__(
        self, state: tuple[dict[str, Any], dict[str, Any] | None], /
    ) -> None: ...
    @property
    def headers(self) -> MutableMapping[str, str]: ...
    @headers.setter
    def headers(self, value: _HeadersIn | None) -> None: ...
    @property
    def params(self) -> Any: ...
    @params.setter
    def params(self, value: _ParamsIn | None) -> None: ...
    @property
    def timeout(self) -> Timeout: ...
    @timeout.setter
    def timeout(self, value: _TimeoutIn) -> None: ...
    @property
    def trace(self) -> Any: ...
    @trace.setter
    def trace(self, value: _TraceIn | None) -> None: ...
    @property
    def auth(self) -> Any: ...
    @auth.setter
    def auth(self, value: Any) -> None: ...
    @property
    def cookies(self) -> Cookies: ...
    @cookies.setter
    def cookies(self, value: _CookiesIn | None) -> None: ...
    @property
    def hooks(self) -> dict[str, list[Callable[..., Any]]]: ...
    @hooks.setter
    def hooks(self, value: _HooksIn | None) -> None: ...
    @property
    def event_hooks(self) -> dict[str, list[Callable[..., Any]]]: ...
    @event_hooks.setter
    def event_hooks(self, value: _HooksIn | None) -> None: ...
    @property
    def follow_redirects(self) -> bool: ...
    @follow_redirects.setter
    def follow_redirects(self, value: bool | None) -> None: ...
    @property
    def max_redirects(self) -> int: ...
    @max_redirects.setter
    def max_redirects(self, value: int | None) -> None: ...
    @property
    def check_redirect(self) -> _CheckRedirect | None: ...
    @check_redirect.setter
    def check_redirect(self, value: _CheckRedirect | None) -> None: ...
    @property
    def proxies(self) -> Any: ...
    @proxies.setter
    def proxies(self, value: _ProxiesIn | None) -> None: ...
    @property
    def mounts(self) -> Mapping[str, Any]: ...
    @mounts.setter
    def mounts(self, value: Mapping[str, Any] | None) -> None: ...
    @property
    def adapters(self) -> MutableMapping[str, Any]: ...
    @adapters.setter
    def adapters(self, value: Mapping[str, Any] | None) -> None: ...
    @property
    def base_url(self) -> str: ...
    @base_url.setter
    def base_url(self, value: str | None) -> None: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def retries(self) -> Retries: ...
    @property
    def closed(self) -> bool: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def verify(self) -> Any: ...
    @verify.setter
    def verify(self, value: _VerifyIn) -> None: ...
    @property
    def cert(self) -> Any: ...
    @cert.setter
    def cert(self, value: _CertIn | None) -> None: ...
    @property
    def tls(self) -> TLS | None: ...
    @property
    def resolve(self) -> dict[str, tuple[str, ...]] | None: ...
    @property
    def local_address(self) -> str | tuple[str, int] | None: ...
    @property
    def uds(self) -> str | bytes | None: ...
    @property
    def family(self) -> AddressFamily | None: ...
    @property
    def socket_options(self) -> tuple[_SocketOption, ...] | None: ...
    @property
    def dial(self) -> _Dial | None: ...
    @property
    def default_encoding(self) -> str | Callable[[bytes], str]: ...
    @property
    def trust_env(self) -> bool: ...
    @trust_env.setter
    def trust_env(self, value: bool) -> None: ...

class Session(Client):
    __attrs__: list[str]
    def merge_environment_settings(
        self, url: str, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> dict[str, Any]: ...
    def get_redirect_target(self, resp: Response) -> str | None: ...
    def resolve_redirects(
        self,
        resp: Response,
        req: PreparedRequest,
        stream: bool = False,
        timeout: _TimeoutIn = None,
        verify: _VerifyIn | None = True,
        cert: _CertIn | None = None,
        proxies: Any = None,
        yield_requests: bool = False,
        **adapter_kwargs: Any,
    ) -> Iterator[Any]: ...
    def rebuild_auth(
        self, prepared_request: PreparedRequest, response: Response
    ) -> None: ...
    def rebuild_method(
        self, prepared_request: PreparedRequest, response: Response
    ) -> None: ...
    def rebuild_proxies(
        self, prepared_request: PreparedRequest, proxies: Any
    ) -> dict[str, Any]: ...
    def should_strip_auth(self, old_url: str, new_url: str) -> bool: ...

@final
class Response:
    def __new__(
        cls,
        status: int | None = None,
        headers: _HeadersIn | None = None,
        content: Buffer | str | None = b"",
        *,
        url: str = "",
        method: str = "GET",
        request: Any = None,
        reason: str = "",
        http_version: str = "HTTP/1.1",
        encoding: str | None = None,
        elapsed: timedelta | None = None,
        history: Iterable[Response] | None = None,
    ) -> Self: ...
    @property
    def status_code(self) -> int: ...
    @status_code.setter
    def status_code(self, value: int | None) -> None: ...
    @property
    def status(self) -> int: ...
    @status.setter
    def status(self, value: int | None) -> None: ...
    @property
    def reason(self) -> str: ...
    @reason.setter
    def reason(self, value: str | None) -> None: ...
    @property
    def reason_phrase(self) -> str: ...
    @reason_phrase.setter
    def reason_phrase(self, value: str | None) -> None: ...
    @property
    def ok(self) -> bool: ...
    @property
    def is_success(self) -> bool: ...
    @property
    def is_error(self) -> bool: ...
    @property
    def is_client_error(self) -> bool: ...
    @property
    def is_server_error(self) -> bool: ...
    @property
    def is_informational(self) -> bool: ...
    @property
    def is_redirect(self) -> bool: ...
    @property
    def is_permanent_redirect(self) -> bool: ...
    @property
    def has_redirect_location(self) -> bool: ...
    @property
    def next_request(self) -> PreparedRequest | None: ...
    @property
    def next(self) -> PreparedRequest | None: ...
    @property
    def cookies(self) -> Cookies: ...
    @cookies.setter
    def cookies(self, value: Any) -> None: ...
    @property
    def url(self) -> str: ...
    @url.setter
    def url(self, value: str | None) -> None: ...
    @property
    def headers(self) -> Headers: ...
    @headers.setter
    def headers(self, value: _HeadersIn) -> None: ...
    @property
    def request(self) -> PreparedRequest: ...
    @request.setter
    def request(self, value: Any) -> None: ...
    @property
    def history(self) -> list[Response]: ...
    @history.setter
    def history(self, value: Iterable[Response]) -> None: ...
    @property
    def attempts(self) -> list[Attempt]: ...
    @property
    def elapsed(self) -> timedelta: ...
    @elapsed.setter
    def elapsed(self, value: timedelta | None) -> None: ...
    @property
    def encoding(self) -> str: ...
    @encoding.setter
    def encoding(self, value: str | None) -> None: ...
    @property
    def apparent_encoding(self) -> str: ...
    @property
    def charset(self) -> str | None: ...
    @property
    def http_version(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def content(self) -> bytes: ...
    @property
    def _content(self) -> bytes | Literal[False]: ...
    @_content.setter
    def _content(self, value: bytes) -> None: ...
    @property
    def text(self) -> str: ...
    @property
    def links(self) -> dict[str, dict[str, str]]: ...
    @property
    def timings(self) -> Timings: ...
    @property
    def connection(self) -> ConnectionInfo: ...
    @property
    def trailers(self) -> Headers: ...
    @property
    def closed(self) -> bool: ...
    @property
    def raw(self) -> _RawBody: ...
    def read(self, size: int | None = -1, /) -> bytes: ...
    def read1(self, size: int | None = -1, /) -> bytes: ...
    def readinto(self, buffer: Buffer, /) -> int: ...
    def readline(self, size: int | None = -1, /) -> bytes: ...
    def readlines(self) -> list[bytes]: ...
    def readable(self) -> Literal[True]: ...
    def writable(self) -> Literal[False]: ...
    def seekable(self) -> Literal[False]: ...
    def isatty(self) -> Literal[False]: ...
    def flush(self) -> None: ...
    @overload
    def iter_content(
        self,
        chunk_size: int | None = 65536,
        decode_unicode: Literal[False] = False,
    ) -> Iterator[bytes]: ...
    @overload
    def iter_content(
        self, chunk_size: int | None, decode_unicode: Literal[True]
    ) -> Iterator[str]: ...
    @overload
    def iter_content(
        self, chunk_size: int | None = 65536, *, decode_unicode: Literal[True]
    ) -> Iterator[str]: ...
    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]: ...
    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]: ...
    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]: ...
    @overload
    def iter_lines(
        self,
        chunk_size: int | None = None,
        decode_unicode: Literal[False] = False,
        delimiter: _Text | None = None,
    ) -> Iterator[bytes]: ...
    @overload
    def iter_lines(
        self,
        chunk_size: int | None = None,
        *,
        decode_unicode: Literal[True],
        delimiter: _Text | None = None,
    ) -> Iterator[str]: ...
    def iter_text_lines(self) -> Iterator[str]: ...
    def _encoding_of(self, start: bytes, /) -> str: ...
    def json(self, **kwargs: Any) -> Any: ...
    def raise_for_status(self) -> Self: ...
    def close(self) -> None: ...
    def release_conn(self) -> None: ...
    def upgraded(self) -> Upgraded: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...
    def __bool__(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

# Not in the module: what Response.raw is.
class _RawBody:
    decode_content: bool
    @property
    def headers(self) -> Headers: ...
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    def read(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> bytes: ...
    def read1(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> bytes: ...
    def readinto(self, buffer: Buffer, /) -> int: ...
    def readline(self, size: int | None = -1, /) -> bytes: ...
    def readlines(self) -> list[bytes]: ...
    def stream(
        self, amt: int | None = 65536, decode_content: bool | None = None
    ) -> Iterator[bytes]: ...
    def read_chunked(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> Iterator[bytes]: ...
    def tell(self) -> int: ...
    def isclosed(self) -> bool: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def close(self) -> None: ...
    def release_conn(self) -> None: ...
    def readable(self) -> Literal[True]: ...
    def writable(self) -> Literal[False]: ...
    def seekable(self) -> Literal[False]: ...
    def isatty(self) -> Literal[False]: ...
    def flush(self) -> None: ...

@final
class Headers(Mapping[str, str]):
    def __new__(cls, headers: _HeadersIn | None = None) -> Self: ...
    def __getitem__(self, name: _Text, /) -> str: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __contains__(self, name: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]
    @overload
    def get(self, name: _Text, default: None = None) -> str | None: ...
    @overload
    def get(self, name: _Text, default: _T) -> str | _T: ...
    @property
    def raw(self) -> list[tuple[bytes, bytes]]: ...
    def get_list(self, name: _Text, /) -> list[str]: ...
    def getlist(self, name: _Text, /) -> list[str]: ...
    def get_all(self, name: _Text, /) -> list[str]: ...
    def multi_items(self) -> list[tuple[str, str]]: ...
    def copy(self) -> Self: ...

@final
class CancelToken:
    def __new__(cls) -> Self: ...
    def cancel(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...

@final
class Upgraded:
    def recv(self, size: int = 65536, /) -> bytes: ...
    def recv_into(self, buffer: Buffer, /) -> int: ...
    def sendall(self, data: Buffer, /) -> None: ...
    def shutdown(self) -> None: ...
    def fileno(self) -> int: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def gettimeout(self) -> float | None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

def get(
    url: str,
    params: _ParamsIn | None = None,
    *,
    data: _DataIn | None = None,
    json: Any = None,
    headers: _HeadersIn | None = None,
    content: _ContentIn | None = None,
    timeout: _TimeoutIn = ...,
    stream: bool | None = None,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    cancel: CancelToken | None = None,
    idempotent: bool | None = None,
    retries: Retries | int | None = None,
    decompress: bool | None = None,
    trace: _TraceIn | None = None,
    auth: Any = None,
    cookies: _CookiesIn | None = None,
    files: _FilesIn | None = None,
    hooks: _HooksIn | None = None,
    event_hooks: _HooksIn | None = None,
    extensions: Mapping[str, Any] | None = None,
    follow_redirects: bool | None = None,
    allow_redirects: bool | None = None,
    max_redirects: int | None = None,
    check_redirect: _CheckRedirect | None = None,
) -> Response: ...
def options(
    url: str,
    params: _ParamsIn | None = None,
    *,
    data: _DataIn | None = None,
    json: Any = None,
    headers: _HeadersIn | None = None,
    content: _ContentIn | None = None,
    timeout: _TimeoutIn = ...,
    stream: bool | None = None,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    cancel: CancelToken | None = None,
    idempotent: bool | None = None,
    retries: Retries | int | None = None,
    decompress: bool | None = None,
    trace: _TraceIn | None = None,
    auth: Any = None,
    cookies: _CookiesIn | None = None,
    files: _FilesIn | None = None,
    hooks: _HooksIn | None = None,
    event_hooks: _HooksIn | None = None,
    extensions: Mapping[str, Any] | None = None,
    follow_redirects: bool | None = None,
    allow_redirects: bool | None = None,
    max_redirects: int | None = None,
    check_redirect: _CheckRedirect | None = None,
) -> Response: ...
def head(
    url: str,
    params: _ParamsIn | None = None,
    *,
    data: _DataIn | None = None,
    json: Any = None,
    headers: _HeadersIn | None = None,
    content: _ContentIn | None = None,
    timeout: _TimeoutIn = ...,
    stream: bool | None = None,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    cancel: CancelToken | None = None,
    idempotent: bool | None = None,
    retries: Retries | int | None = None,
    decompress: bool | None = None,
    trace: _TraceIn | None = None,
    auth: Any = None,
    cookies: _CookiesIn | None = None,
    files: _FilesIn | None = None,
    hooks: _HooksIn | None = None,
    event_hooks: _HooksIn | None = None,
    extensions: Mapping[str, Any] | None = None,
    follow_redirects: bool | None = None,
    allow_redirects: bool | None = None,
    max_redirects: int | None = None,
    check_redirect: _CheckRedirect | None = None,
) -> Response: ...
def post(
    url: str,
    data: _DataIn | None = None,
    json: Any = None,
    *,
    params: _ParamsIn | None = None,
    headers: _HeadersIn | None = None,
    content: _ContentIn | None = None,
    timeout: _TimeoutIn = ...,
    stream: bool | None = None,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    cancel: CancelToken | None = None,
    idempotent: bool | None = None,
    retries: Retries | int | None = None,
    decompress: bool | None = None,
    trace: _TraceIn | None = None,
    auth: Any = None,
    cookies: _CookiesIn | None = None,
    files: _FilesIn | None = None,
    hooks: _HooksIn | None = None,
    event_hooks: _HooksIn | None = None,
    extensions: Mapping[str, Any] | None = None,
    follow_redirects: bool | None = None,
    allow_redirects: bool | None = None,
    max_redirects: int | None = None,
    check_redirect: _CheckRedirect | None = None,
) -> Response: ...
def put(
    url: str,
    data: _DataIn | None = None,
    *,
    params: _ParamsIn | None = None,
    json: Any = None,
    headers: _HeadersIn | None = None,
    content: _ContentIn | None = None,
    timeout: _TimeoutIn = ...,
    stream: bool | None = None,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    cancel: CancelToken | None = None,
    idempotent: bool | None = None,
    retries: Retries | int | None = None,
    decompress: bool | None = None,
    trace: _TraceIn | None = None,
    auth: Any = None,
    cookies: _CookiesIn | None = None,
    files: _FilesIn | None = None,
    hooks: _HooksIn | None = None,
    event_hooks: _HooksIn | None = None,
    extensions: Mapping[str, Any] | None = None,
    follow_redirects: bool | None = None,
    allow_redirects: bool | None = None,
    max_redirects: int | None = None,
    check_redirect: _CheckRedirect | None = None,
) -> Response: ...
def patch(
    url: str,
    data: _DataIn | None = None,
    *,
    params: _ParamsIn | None = None,
    json: Any = None,
    headers: _HeadersIn | None = None,
    content: _ContentIn | None = None,
    timeout: _TimeoutIn = ...,
    stream: bool | None = None,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    cancel: CancelToken | None = None,
    idempotent: bool | None = None,
    retries: Retries | int | None = None,
    decompress: bool | None = None,
    trace: _TraceIn | None = None,
    auth: Any = None,
    cookies: _CookiesIn | None = None,
    files: _FilesIn | None = None,
    hooks: _HooksIn | None = None,
    event_hooks: _HooksIn | None = None,
    extensions: Mapping[str, Any] | None = None,
    follow_redirects: bool | None = None,
    allow_redirects: bool | None = None,
    max_redirects: int | None = None,
    check_redirect: _CheckRedirect | None = None,
) -> Response: ...
def delete(
    url: str,
    params: _ParamsIn | None = None,
    *,
    data: _DataIn | None = None,
    json: Any = None,
    headers: _HeadersIn | None = None,
    content: _ContentIn | None = None,
    timeout: _TimeoutIn = ...,
    stream: bool | None = None,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    cancel: CancelToken | None = None,
    idempotent: bool | None = None,
    retries: Retries | int | None = None,
    decompress: bool | None = None,
    trace: _TraceIn | None = None,
    auth: Any = None,
    cookies: _CookiesIn | None = None,
    files: _FilesIn | None = None,
    hooks: _HooksIn | None = None,
    event_hooks: _HooksIn | None = None,
    extensions: Mapping[str, Any] | None = None,
    follow_redirects: bool | None = None,
    allow_redirects: bool | None = None,
    max_redirects: int | None = None,
    check_redirect: _CheckRedirect | None = None,
) -> Response: ...
def request(
    method: str,
    url: str,
    params: _ParamsIn | None = None,
    data: _DataIn | None = None,
    headers: _HeadersIn | None = None,
    cookies: _CookiesIn | None = None,
    files: _FilesIn | None = None,
    auth: Any = None,
    timeout: _TimeoutIn = ...,
    allow_redirects: bool | None = None,
    proxies: _ProxiesIn | None = None,
    hooks: _HooksIn | None = None,
    stream: bool | None = None,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    json: Any = None,
    *,
    content: _ContentIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    cancel: CancelToken | None = None,
    idempotent: bool | None = None,
    retries: Retries | int | None = None,
    decompress: bool | None = None,
    trace: _TraceIn | None = None,
    event_hooks: _HooksIn | None = None,
    extensions: Mapping[str, Any] | None = None,
    follow_redirects: bool | None = None,
    max_redirects: int | None = None,
    check_redirect: _CheckRedirect | None = None,
) -> Response: ...
def configure(
    *,
    base_url: str = "",
    headers: _HeadersIn | None = None,
    params: _ParamsIn | None = None,
    timeout: _TimeoutIn = ...,
    limits: Limits | None = None,
    retries: Retries | int | None = None,
    verify: _VerifyIn = True,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    trust_env: bool = True,
    decompress: bool = True,
    max_size: int | None = None,
    max_decoded_size: int | None = None,
    default_encoding: str | Callable[[bytes], str] = "utf-8",
    dns_ttl: float | None = 10.0,
    resolve: _ResolveIn | None = None,
    local_address: str | tuple[str, int] | None = None,
    uds: str | bytes | PathLike[str] | None = None,
    family: int | Literal["ipv4", "ipv6"] | None = None,
    socket_options: Iterable[_SocketOption] | None = None,
    dial: _Dial | None = None,
    max_header_bytes: int = 1048576,
    raise_for_status: bool = False,
    leak_warnings: bool | Literal["trace"] = True,
    trace: _TraceIn | None = None,
    auth: Any = None,
    cookies: _CookiesIn | None = None,
    hooks: _HooksIn | None = None,
    event_hooks: _HooksIn | None = None,
    follow_redirects: bool | None = True,
    allow_redirects: bool | None = True,
    max_redirects: int | None = 30,
    check_redirect: _CheckRedirect | None = None,
    mounts: Mapping[str, Any] | None = None,
    transport: Any = None,
    stream: bool = False,
) -> None: ...
def _set_instrument(
    instrument: Callable[
        [Client, str, str],
        tuple[
            _HeadersIn | None,
            Callable[[Response | None, BaseException | None], object],
        ]
        | None,
    ]
    | None,
    /,
) -> None: ...
def _accept_encoding() -> str: ...
def _lookups() -> int: ...
def _clock() -> int: ...
def _open_responses() -> list[Row]: ...
def _watch_leaks(
    sink: list[tuple[Row, str | None]] | None, /
) -> list[tuple[Row, str | None]] | None: ...
def _send_once(
    client: Client,
    method: str,
    url: str,
    headers: _HeadersIn,
    *,
    content: Any = None,
    timeout: _TimeoutIn = ...,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    cancel: CancelToken | None = None,
    idempotent: bool | None = None,
    retries: Retries | int | None = None,
    decompress: bool | None = None,
    trace: _TraceIn | None = None,
    request: PreparedRequest | None = None,
    started: int | None = None,
    target: str | None = None,
) -> Response: ...
def _pause(
    client: Client,
    method: str,
    url: str,
    n: int,
    *,
    timeout: _TimeoutIn = ...,
    verify: _VerifyIn | None = None,
    cert: _CertIn | None = None,
    tls: TLS | None = None,
    proxy: _ProxyIn | None = None,
    proxies: _ProxiesIn | None = None,
    cancel: CancelToken | None = None,
    request: PreparedRequest | None = None,
    started: int | None = None,
) -> None: ...
def _merged_headers(
    client: Client,
    headers: _HeadersIn | None = None,
    decompress: bool | None = None,
    /,
) -> tuple[tuple[bytes, bytes], ...]: ...
def _asks(response: Response, /) -> bool: ...
def _drain(
    response: Response, most: int, seconds: float | None, /
) -> None: ...
def _finish(response: Response, /) -> None: ...
def _proxies(client: Client, /) -> Proxies | None: ...
def _traced_as(response: Response, /) -> tuple[int, int]: ...
def _tell(
    client: Client, trace: _TraceIn | None, info: dict[str, Any], /
) -> None: ...
def _origin(url: str, /) -> tuple[str, str, int]: ...
def _advance(seconds: float, /) -> None: ...
def _suspend(seconds: float, /) -> None: ...
def _forks() -> None: ...
def _forked() -> None: ...
def _shutdown() -> None: ...

_deadline_var: Final[ContextVar[int]]
_close_reasons: Final[tuple[str, ...]]
_phases: Final[tuple[str, ...]]
_replay_reasons: Final[tuple[str, ...]]
