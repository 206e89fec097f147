"""Requests as objects: Request, which is being put together, and
PreparedRequest, which can be sent."""

from __future__ import annotations

from collections.abc import Mapping

from .._headers import MutableHeaders
from .._prepare import (
    Source,
    add_params,
    body_source,
    encode_data,
    encode_json,
)
from .._redact import url_for_text
from ..errors import InvalidURL, MissingSchema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from .auth import HasFlow

    Hooks: TypeAlias = dict[str, list[Callable[..., Any]]]


class RequestHooksMixin:
    """Something with functions that are called with its answer."""

    hooks: Hooks

    def _take_hooks(self, hooks: Mapping[str, Any] | None) -> None:
        """Begins with these."""
        self.hooks = {"response": []}
        for event, functions in (hooks or {}).items():
            self.register_hook(event, functions or ())

    def register_hook(self, event: str, hook: Any) -> None:
        """Adds a function, or several, to be called on `event`."""
        if event not in self.hooks:
            raise ValueError(f'hooks are for "response", not {event!r}')
        self.hooks[event] += [hook] if callable(hook) else list(hook)

    def deregister_hook(self, event: str, hook: Any) -> bool:
        """Takes it out; False if it was not there."""
        try:
            self.hooks[event].remove(hook)
        except (KeyError, ValueError):
            return False
        return True


class PreparedRequest(RequestHooksMixin):
    """A request with all that will be sent, and open to change: hooks, auth
    and `check_redirect` get it before it goes out.

    method, url  str
    headers      MutableHeaders: all there are, but for Host and the framing,
                 which the core adds
    body         bytes-like, str, a file, an iterable of pieces, or None
    hooks        {"response": [f, ...]}, called besides the client's
    extensions   dict: what the call was given
    """

    method: str
    url: str
    headers: MutableHeaders
    body: Any
    extensions: dict[str, Any]

    def __init__(
        self,
        method: str | None = None,
        url: str | None = None,
        headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
        body: Any = None,
        hooks: Mapping[str, Any] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self.method = "GET" if method is None else method.upper()
        self.url = "" if url is None else url
        self.headers = MutableHeaders(headers)
        self.body = body
        self._take_hooks(hooks)
        if not isinstance(extensions, (Mapping, type(None))):
            kind = type(extensions).__name__
            raise TypeError(f"extensions must be a mapping, not {kind}")
        self.extensions = dict(extensions or {})
        self._source: Source | None = None
        self._source_of: Any = None
        # Who is asked when it is sent; `_is_authorized`: and nobody else.
        self._auth: HasFlow | None = None
        self._is_authorized = False
        # By the caller; else by a server, and it gets nothing of the client's.
        self._is_named = True
        self._sent_with: dict[str, Any] = {}  # what an HTTPAdapter goes by

    @property
    def content(self) -> Any:
        """httpx's name for `body`."""
        return self.body

    @property
    def path_url(self) -> str:
        """Path and query, as in the request line."""
        rest = self.url.partition("#")[0].partition("://")[2]
        at = min((rest.find(c) for c in "/?" if c in rest), default=None)
        path = "" if at is None else rest[at:]
        return path if path.startswith("/") else "/" + path

    def copy(self) -> PreparedRequest:
        """One of its own with the same method, url, headers, hooks, and the
        same body."""
        other = PreparedRequest(
            self.method,
            self.url,
            self.headers,
            self.body,
            self.hooks,
            self.extensions,
        )
        other._source, other._source_of = self._source, self._source_of
        other._auth, other._is_authorized = self._auth, self._is_authorized
        other._is_named = self._is_named
        return other

    def __reduce__(self) -> tuple[object, ...]:
        # A file, an iterator or a function does not travel to another process.
        portable = isinstance(self.body, (bytes, bytearray, str, type(None)))
        body = self.body if portable else None
        return PreparedRequest, (self.method, self.url, self.headers.raw, body)

    def __repr__(self) -> str:
        return f"<PreparedRequest [{self.method} {url_for_text(self.url)}]>"

    # -- in the manner of requests

    def prepare(
        self,
        method: str | None = None,
        url: str | None = None,
        headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
        files: Any = None,
        data: Any = None,
        params: Any = None,
        auth: Any = None,
        cookies: Any = None,
        hooks: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> None:
        """Makes this the request that is described."""
        self.prepare_method(method)
        self.prepare_url(url, params)
        self.prepare_headers(headers)
        self.prepare_cookies(cookies)
        self.prepare_body(data, files, json)
        self.prepare_auth(auth)
        self._is_authorized = True  # as it is; a client's auth is not meant
        self.prepare_hooks(hooks)

    def prepare_method(self, method: str | None) -> None:
        """"get" is meant as GET."""
        self.method = "GET" if method is None else method.upper()

    def prepare_url(self, url: str | None, params: Any) -> None:
        """`url` with `params` added to its query. MissingSchema, InvalidURL."""
        if isinstance(url, bytes):
            url = url.decode()
        text = "" if url is None else str(url).lstrip()
        self.url = add_params(_with_path(text), params)

    def prepare_headers(
        self, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None
    ) -> None:
        """These headers and no others."""
        self.headers = MutableHeaders(headers)

    def prepare_body(
        self, data: Any, files: Any = None, json: Any = None
    ) -> None:
        """The body that a call with these arguments has, and its
        Content-Type unless there is one."""
        self._encode({"data": data, "files": files, "json": json})

    def prepare_content_length(self, body: Any) -> None:
        """Takes out a Content-Length that was put in: the one that is right
        is made when the request is sent."""
        self.headers.pop("Content-Length", None)

    def prepare_cookies(self, cookies: Any) -> None:
        """The Cookie header of these cookies, unless there is one."""
        if cookies and "Cookie" not in self.headers:
            from .cookies import of

            header = of(cookies).header(self.url)
            if header:
                self.headers["Cookie"] = header

    def prepare_auth(self, auth: Any) -> None:
        """What `auth` puts into a request, else the credentials of the URL;
        send() then adds none of the client's. An auth that wants to see
        answers first (digest, a generator) is asked by send()."""
        from .auth import choose, of, puts_all_in

        chosen = choose(None if auth is None else of(auth), self, None)
        self._is_authorized = auth is not None or chosen is not None
        if chosen is not None and puts_all_in(chosen):
            rounds = chosen.flow(self)
            self._take(next(rounds))
            rounds.close()
        else:
            self._auth = chosen

    def _forget_auth(self) -> None:
        """It goes to another origin, which a server has named."""
        self._auth, self._is_authorized = None, False
        self._is_named = False

    def _take(self, other: PreparedRequest) -> None:
        """Becomes what an auth has given back."""
        if other is not self:
            self.__dict__.update(other.__dict__)

    def prepare_hooks(self, hooks: Mapping[str, Any] | None) -> None:
        """Adds these hooks: {"response": f or [f, ...]}."""
        for event, functions in (hooks or {}).items():
            self.register_hook(event, functions or ())

    # -- the body

    def read(self) -> bytes:
        """The whole body, which is bytes from then on; httpx's name."""
        content = self._content()
        if isinstance(content, Source):
            content = b"".join(iter(content.next, b""))
        elif isinstance(content, str):
            content = content.encode()
        if content is None:
            return b""
        whole = bytes(content)
        self.body = whole
        return whole

    def _encode(self, arguments: Mapping[str, Any]) -> None:
        """body and Content-Type of the data, content, json and files of a
        call. TypeError when two are given that exclude each other."""
        given = self.headers.get("Content-Type")
        body, content_type = encode_body(arguments, given)
        self.body = body
        if content_type is not None:
            self.headers["Content-Type"] = content_type

    def _content(self) -> Any:
        """What `_core._send_once` takes: bytes-like or str, or a Source."""
        if _is_plain(self.body):
            return self.body
        if self._source is None or self._source_of is not self.body:
            self._source = body_source(self.body)
            self._source_of = self.body
        return self._source

    def _can_rewind(self) -> bool:
        """Whether the body can be sent another time, or was not yet."""
        content = self._content()
        if not isinstance(content, Source):
            return True
        return content.rewindable or content.untouched

    def _rewind(self) -> None:
        """Puts the body back to its start. UnrewindableBodyError."""
        content = self._content()
        if isinstance(content, Source) and not content.untouched:
            content.rewind()

    def _drop_body(self) -> None:
        self.body = self._source = self._source_of = None
        for name in BODY_HEADERS:
            self.headers.pop(name, None)


def of_sent(
    method: str, url: str, headers: Any, body: Any, source: Source | None
) -> PreparedRequest:
    """For Response.request: what was sent. `source` is what the body was read
    through, if it was a file or an iterator."""
    request = PreparedRequest(method, url, headers, body)
    request._source, request._source_of = source, body
    return request


# What says how the body is to be read, and goes with it.
BODY_HEADERS = (
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
    "Content-Language",
    "Content-Location",
    "Transfer-Encoding",
)


def encode_body(
    arguments: Mapping[str, Any], given: str | None = None
) -> tuple[Any, str | None]:
    """(body, Content-Type) of a call's data, content, json and files.

    given: the header that the request has. The second item is None when it
    is to stay as it is.
    """
    data, content = arguments.get("data"), arguments.get("content")
    json, files = arguments.get("json"), arguments.get("files")
    if files:
        for name, value in (("content", content), ("json", json)):
            if value is not None:
                raise TypeError(f"files and {name} cannot be given together")
        from .multipart import encode

        return encode(data, files, given)
    if data is not None and content is not None:
        raise TypeError("data and content cannot be given together")
    if json is not None and content is not None:
        raise TypeError("json and content cannot be given together")
    if json is not None and not (data is None or _is_empty_form(data)):
        raise TypeError("json and data cannot be given together")
    body, content_type = (content if data is None else data), None
    if json is not None:
        body, content_type = encode_json(json), "application/json"
    elif data is not None and not _is_plain(data):
        body, content_type = encode_data(data)
    return body, content_type if given is None else None


def _with_path(url: str) -> str:
    """With the slash that a URL without a path means. MissingSchema,
    InvalidURL; what else is wrong with it shows when it is sent."""
    scheme, mark, rest = url.partition("://")
    if not mark or any(c in scheme for c in "/?#"):
        shown = url_for_text(url)
        raise MissingSchema(
            f"the URL {shown!r} has no scheme; perhaps https://{shown}?"
        )
    end = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
    if not rest[:end] and scheme.lower() in ("http", "https"):
        raise InvalidURL(f"the URL {url_for_text(url)!r} has no host")
    if rest[end : end + 1] == "/":
        return url
    return f"{scheme}{mark}{rest[:end]}/{rest[end:]}"


def _is_empty_form(data: Any) -> bool:
    return isinstance(data, (dict, list, tuple)) and not data


def _is_plain(body: Any) -> bool:
    if body is None or isinstance(body, (str, bytes)):
        return True
    try:
        memoryview(body)
    except TypeError:
        return False
    return True


class Request(RequestHooksMixin):
    """A request that is being put together, in the manner of requests.

    Takes what a call takes. `prepare()` makes a PreparedRequest of it without
    any client's defaults, `client.prepare_request()` one with them.
    """

    def __init__(
        self,
        method: str | None = None,
        url: str | None = None,
        headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
        files: Any = None,
        data: Any = None,
        params: Any = None,
        auth: Any = None,
        cookies: Any = None,
        hooks: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = {} if headers is None else headers
        self.files = [] if files is None else files
        self.data = [] if data is None else data
        self.params = {} if params is None else params
        self.auth = auth
        self.cookies = cookies
        self.json = json
        self._take_hooks(hooks)

    def prepare(self) -> PreparedRequest:
        """The request that can be sent."""
        prepared = PreparedRequest()
        prepared.prepare(
            method=self.method,
            url=self.url,
            headers=self.headers,
            files=self.files,
            data=self.data,
            params=self.params,
            auth=self.auth,
            cookies=self.cookies,
            hooks=self.hooks,
            json=self.json,
        )
        return prepared

    def __repr__(self) -> str:
        return f"<Request [{self.method}]>"
