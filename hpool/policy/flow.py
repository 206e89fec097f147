"""The way of a call that is more than one plain request: the loop.

Per hop: the cookies for its URL, then auth, which may take several rounds, each
of them perhaps several attempts; around each answer the hooks; then the
redirect, if it is one. The time of `timeout`'s total and of `deadline()` is one
for all of them. Bodies on the way are read when they are small, so that their
connections are used again, and closed otherwise; only the last one is the
caller's.
"""

from __future__ import annotations

from .. import _core
from .._redact import url_for_text
from .._retries import parse_retries
from ..config import Timeout, parse_timeout
from ..errors import ClosedError, RequestException, TooManyRedirects
from . import redirects
from .auth import OFF, as_prepared, choose
from .auth import of as auth_of
from .hooks import Hooks
from .request import PreparedRequest
from .settings import MAX_REDIRECTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._core import Client
    from .auth import HasFlow
    from .cookies import CallCookies
    from .proxy import Proxy
    from .retries import Attempts

# What check_redirect returns to get the redirect itself; as good as False.
USE_LAST_RESPONSE = "use last response"

# The arguments of a call that a wait between two requests of it ends by ...
_PAUSED = (
    "timeout",
    "verify",
    "cert",
    "tls",
    "proxy",
    "proxies",
    "cancel",
    "started",
)

# ... and each of them is sent with.
_SENT = (*_PAUSED, "idempotent", "retries", "decompress", "trace")

_DRAIN = 65536  # bytes of a body nobody wants that are read all the same


def call(
    client: Client,
    method: str,
    url: str,
    headers: Any,
    arguments: dict[str, Any],
    settings: dict[str, Any],
) -> Any:
    """A call that is more than a plain request from its beginning: the
    response at its end.

    url and headers are complete (base_url, params and the client's headers in
    them). arguments: those of the call by name, and "stream", "follow"
    (redirects), "keep" (cookies, on the client), "started" (on _core._clock()).
    settings: the client's, see policy.settings; they are not to be changed.
    """
    request = PreparedRequest(
        method,
        redirects.ascii_url(url),
        headers,
        extensions=arguments.get("extensions"),
    )
    request._encode(arguments)
    return Flow(client, arguments, settings).run(request)


def send(
    client: Client,
    request: Any,
    arguments: dict[str, Any],
    settings: dict[str, Any],
) -> Any:
    """A request that was made before. What is the client's is in it as far as
    it should be: of cookies, hooks and auth nothing more is added."""
    if not isinstance(request, PreparedRequest):
        raise TypeError(
            "send() takes an hpool.PreparedRequest, not "
            f"{type(request).__name__}"
        )
    request._rewind()
    sent = request.copy()
    if arguments.get("auth") is None and (
        request._is_authorized or not request._is_named
    ):
        arguments["auth"] = request._auth or False
    arguments["extensions"] = request.extensions
    settings = {k: v for k, v in settings.items() if k != "hooks"}
    flow = Flow(client, arguments, settings)
    flow.cookies_are_in = True
    flow.is_named = request._is_named
    return flow.run(sent)


def resume(
    client: Client,
    response: Any,
    arguments: dict[str, Any],
    settings: dict[str, Any],
) -> Any:
    """A call whose plain request was answered by a redirect."""
    flow = Flow(client, arguments, settings)
    return flow.run(response.request.copy(), response)


def keep_cookies(client: Client, response: Any) -> None:
    """Puts the cookies that `response` sets into the client's jar."""
    client.cookies.extract(response)


class Flow:
    """One call: what holds for all its hops, and what has happened so far."""

    def __init__(
        self,
        client: Client,
        arguments: dict[str, Any],
        settings: dict[str, Any],
    ) -> None:
        self.client = client
        self.history: list[Any] = []
        self._redirects = 0
        self._stream = arguments["stream"]
        self._follow = arguments["follow"]
        timeout = (arguments.get("extensions") or {}).get("timeout")
        if timeout is not None and "timeout" not in arguments:
            # httpx's extension is a dict of its phases.
            own = isinstance(timeout, dict)
            arguments["timeout"] = Timeout(**timeout) if own else timeout
        self._sent = {n: arguments[n] for n in _SENT if n in arguments}
        self._arguments = arguments
        self._settings = settings
        self._mounts = settings.get("mounts")
        self._serving: Any = None  # the transport of this hop, None for ours
        self._hooks = Hooks(settings, arguments)
        self._auth = _auth(arguments, settings)
        self._netrc = settings.get("netrc")
        self._proxies = _core._proxies(client)
        self._retries = _retries(client, arguments, settings)
        most = arguments.get("max_redirects")
        if most is None:
            most = settings.get("max_redirects", MAX_REDIRECTS)
        self._max_redirects = most
        self._check = arguments.get("check_redirect") or settings.get(
            "check_redirect"
        )
        self._own_referer = False
        self.is_named = True  # no redirect has led to another origin
        self._keep = arguments["keep"]
        self._given_cookies = arguments.get("cookies")
        self._kept_cookies = settings.get("cookies")
        self._cookies: CallCookies | None = None
        self.cookies_are_in = False  # in the first request

    def run(self, request: PreparedRequest, response: Any = None) -> Any:
        """Sends `request`, or goes on from `response` to it, to the end."""
        self._own_referer = "Referer" in request.headers
        while True:
            if response is None:
                request, response = self._hop(request)
            else:
                self._learn(request, response)
            try:
                next_request = self._next(request, response)
            except BaseException as exc:
                _complete(exc, request, response)
                response.close()
                raise
            if next_request is None:
                break
            self._passed(response)
            self._leave(request.url, next_request.url)
            request, response = next_request, None
        if not isinstance(response, _core.Response):
            return response  # a hook's own
        response.history[:] = self.history
        if not self._stream:
            _core._finish(response)
        return response

    # -- one hop

    def _hop(self, request: PreparedRequest) -> tuple[PreparedRequest, Any]:
        """(the request as it was sent in the end, its response)."""
        chosen = choose(self._auth, request, self._netrc)
        self._put_cookies(request)
        if chosen is None:
            return request, self._round(request)
        rounds = chosen.flow(request)
        try:
            asked = as_prepared(next(rounds))
            while True:
                response = self._round(asked)
                try:
                    next_asked = as_prepared(rounds.send(response))
                except StopIteration:
                    return asked, response
                except BaseException:
                    response.close()
                    raise
                self._passed(response)
                asked = next_asked
                asked._rewind()
                if redirects.is_same_origin(asked.url, request.url):
                    self._put_cookies(asked)
        finally:
            rounds.close()

    def _leave(self, url: str, next_url: str) -> None:
        """Cookies and credentials that were given are for the first origin
        alone; what netrc has for a host does not go out in the clear after a
        downgrade."""
        if redirects.is_same_origin(url, next_url):
            return
        self.is_named = False
        self._forget_auth()
        if url.startswith("https:") and not next_url.startswith("https:"):
            self._netrc = None

    def _forget_auth(self) -> None:
        if self._auth is not OFF:
            self._auth = None

    def _round(self, request: PreparedRequest) -> Any:
        self._hooks.before(request)
        response = self._attempts(request)
        try:
            other = self._hooks.after(request, response)
        except BaseException:
            response.close()
            raise
        if other is not response and isinstance(other, _core.Response):
            for r in (*other.history, other):  # a hook has sent again
                self._learn(request, r)
            self.history += other.history
        return other

    def _attempts(self, request: PreparedRequest) -> Any:
        self._serving = self._transport(request)
        retries = self._retries_of(request)
        if retries is None:
            return self._send(request)
        retries.begin(request)
        while True:
            response, error = self._attempt(request)
            try:
                wait = retries.decide(request, response, error)
            except BaseException:
                if response is not None:
                    drain(self.client, response)
                raise
            if response is not None and wait is None:
                response.attempts[:] = retries.made
                return response
            if wait is None:
                raise error
            if response is not None:
                drain(self.client, response)
            ended = error if response is None else response
            self._tell_retry(request, retries, ended)
            self._pause(request, wait)
            request._rewind()

    def _attempt(self, request: PreparedRequest) -> tuple[Any, Any]:
        """(response, None) or (None, error)."""
        response = None
        try:
            response = self._send(request)
            if response.is_success and not self._stream:
                response.content  # as long as it can be asked for again
        except RequestException as error:
            if response is not None:
                response.close()
            return None, error
        return response, None

    def _tell_retry(
        self, request: PreparedRequest, retries: Attempts, ended: Any
    ) -> None:
        if isinstance(ended, _core.Response):
            numbers = _core._traced_as(ended)
        else:
            numbers = getattr(ended, "_traced", (0, 0))
        info = retries.event(request, *numbers)
        _core._tell(self.client, self._sent.get("trace"), info)

    def _pause(self, request: PreparedRequest, seconds: float) -> None:
        if seconds <= 0:
            return
        until = _core._clock() + int(seconds * 1e9)
        sent = {n: self._sent[n] for n in _PAUSED if n in self._sent}
        url = request.url
        if self._serving is not None:
            url = "http" + url[url.find("://") :]  # nothing is sent there
        _core._pause(
            self.client,
            request.method,
            url,
            until,
            request=request,
            **sent,
        )

    def _send(self, request: PreparedRequest) -> Any:
        if self._serving is None:
            response = self._send_once(request)
        else:
            response = self._mounted(self._serving, request)
        self._learn(request, response)
        return response

    def _send_once(self, request: PreparedRequest) -> Any:
        sent = self._sent
        if "proxy" in sent or "proxies" in sent or self._proxies is not None:
            proxy = self._proxy(request)
            sent = {**sent, "proxy": proxy or False, "proxies": None}
            if proxy is not None and proxy.auth is not None:
                return self._send_challenged(request, proxy, sent)
        return self._send_plain(request, request.headers.raw, sent)

    def _send_plain(
        self, request: PreparedRequest, headers: Any, sent: dict[str, Any]
    ) -> Any:
        return _core._send_once(
            self.client,
            request.method,
            request.url,
            headers,
            content=request._content(),
            request=request,
            **sent,
        )

    # -- proxies

    def _proxy(self, request: PreparedRequest) -> Proxy | None:
        """The one that it goes through."""
        from .proxies import choose

        scheme, host, port = _core._origin(request.url)
        given = self._sent.get("proxy"), self._sent.get("proxies")
        where = request.url, scheme == "https", host, port
        return choose(*given, self._proxies, *where)

    def _send_challenged(
        self, request: PreparedRequest, proxy: Proxy, sent: dict[str, Any]
    ) -> Any:
        if "Proxy-Authorization" in request.headers:
            sent["proxy"] = proxy.without_auth()
            return self._send_plain(request, request.headers.raw, sent)
        from .proxy_auth import send

        def send_once(value: bytes | None) -> Any:
            headers = list(request.headers.raw)
            if value is not None:
                headers.append((b"Proxy-Authorization", value))
            return self._send_plain(request, headers, sent)

        def end(response: Any) -> None:
            drain(self.client, response)

        assert proxy.auth is not None
        return send(proxy.auth, proxy.url, request, send_once, end)

    # -- other transports

    def _transport(self, request: PreparedRequest) -> Any:
        """What is mounted for it, or what a get_adapter() of the caller's
        says; None for the client's own pool."""
        if self._settings.get("get_adapter"):
            return self.client.get_adapter(url=request.url)
        return None if self._mounts is None else self._mounts.find(request.url)

    def _mounted(self, transport: Any, request: PreparedRequest) -> Any:
        from .mounts import send

        if self.client.closed:
            raise ClosedError("the client is closed", request=request)
        client, sent = self.client, self._sent
        timeout, proxies = sent.get("timeout"), sent.get("proxies")
        if sent.get("proxy") is not None:
            proxies = {"all": sent["proxy"]}
        elif proxies is None:
            proxies = dict(client.proxies) or (None if client.trust_env else {})
        request._sent_with = {"timeout": client.timeout, **sent}
        how = {
            "stream": self._stream,
            "timeout": None if timeout is ... else timeout,
            "verify": _or(sent.get("verify"), client.verify),
            "cert": _or(sent.get("cert"), client.cert),
            "proxies": proxies,
        }
        return send(transport, request, client.timeout, how)

    def _retries_of(self, request: PreparedRequest) -> Attempts | None:
        """Those of the call or, where it does not say, of what is mounted."""
        rules = getattr(self._serving, "max_retries", None)
        if rules is None or self._arguments.get("retries") is not None:
            return self._retries
        own = {"retries": parse_retries(rules)}
        return _retries(self.client, self._arguments, own) or self._retries

    # -- cookies

    def _put_cookies(self, request: PreparedRequest) -> None:
        given, kept = self._given_cookies, self._kept_cookies
        are_in, self.cookies_are_in = self.cookies_are_in, False
        if self._cookies is None and given is None and kept is None:
            return
        cookies = self._all_cookies(request)
        if are_in:
            return
        header = cookies.header(request.url, self.is_named)
        request.headers.pop("Cookie", None)
        if header:
            request.headers["Cookie"] = header

    def _all_cookies(self, request: PreparedRequest) -> CallCookies:
        """The cookies of this call, which begin with the first request."""
        if self._cookies is None:
            from .cookies import CallCookies

            self._cookies = CallCookies(
                self._kept_cookies,
                self._given_cookies,
                "; ".join(request.headers.get_list("Cookie")),
            )
        return self._cookies

    def _learn(self, request: PreparedRequest, response: Any) -> None:
        if not _core._asks(response) or "Set-Cookie" not in response.headers:
            return
        cookies = self._all_cookies(request)
        if self._keep and self._kept_cookies is None:
            self._kept_cookies = self.client.cookies
        cookies.learn(response, self._kept_cookies if self._keep else None)

    # -- from one to the next

    def _next(
        self, request: PreparedRequest, response: Any
    ) -> PreparedRequest | None:
        target = self._target(response)
        if not target:
            return None
        next_request = redirects.following(
            request, response, self._own_referer, target
        )
        if next_request is None:
            return None
        if self._redirects >= self._max_redirects:
            raise TooManyRedirects(
                f"stopped after {self._max_redirects} redirects; the next "
                f"leads to {url_for_text(next_request.url)}",
                request=next_request,
                response=response,
            )
        if self._settings.get("overrides"):
            from .session import own_steps

            own_steps(
                self.client,
                self._settings["overrides"],
                request,
                next_request,
                response,
                self._sent,
            )
            if "Authorization" not in next_request.headers:
                self._forget_auth()  # they may have taken it off
        if self._check is not None:
            verdict = self._check(next_request, [*self.history, response])
            if verdict is False or verdict is USE_LAST_RESPONSE:
                return None
        next_request._rewind()
        self._redirects += 1
        return next_request

    def _target(self, response: Any) -> str | None:
        """Where it leads, if it is followed."""
        if not self._follow:
            return None
        if self._settings.get("get_redirect_target"):
            return self.client.get_redirect_target(response)  # type: ignore
        if not getattr(response, "is_redirect", False):
            return None
        return redirects.target_of(response)

    def _passed(self, response: Any) -> None:
        """A response the call does not end with. A small body is read, which
        frees its connection; any other is closed."""
        drain(self.client, response)
        if isinstance(response, _core.Response):
            response.history[:] = self.history
        self.history.append(response)


def drain(client: Any, response: Any) -> None:
    """Ends a response nobody wants. A small body is read, which frees its
    connection; with any other it is closed."""
    if not isinstance(response, _core.Response):
        response.close()  # a hook's own
        return
    limits = client.limits
    most = _DRAIN if limits.drain_bytes is None else limits.drain_bytes
    _core._drain(response, min(most, _DRAIN), limits.drain_timeout)


def _auth(
    arguments: dict[str, Any], settings: dict[str, Any]
) -> HasFlow | None:
    """What the call, else the client, says of auth."""
    value = arguments.get("auth")
    if value is None:
        value = settings.get("auth")
    return None if value is None else auth_of(value)


def _complete(
    exc: BaseException, request: PreparedRequest, response: Any
) -> None:
    """An error about an answer knows it."""
    if isinstance(exc, RequestException) and exc.response is None:
        exc.response = response
        if exc.request is None:
            exc.request = request


def _or(given: Any, own: Any) -> Any:
    return own if given is None else given


def _retries(
    client: Client, arguments: dict[str, Any], settings: dict[str, Any]
) -> Attempts | None:
    """What the call, else the client, says of retries; None: nothing."""
    rules = settings.get("retries")
    if arguments.get("retries") is not None:
        rules = parse_retries(arguments["retries"])
    if rules is None or rules.are_off:
        return None
    from .retries import Attempts

    ends = _ends(client, arguments)
    return Attempts(client, rules, arguments.get("idempotent"), ends)


def _ends(client: Client, arguments: dict[str, Any]) -> int | None:
    """When the time of the call is over, on _core._clock()."""
    timeout = client.timeout
    if "timeout" in arguments:
        timeout = parse_timeout(arguments["timeout"])
    ends = _core._deadline_var.get(None)
    if timeout.total is not None:
        total = arguments["started"] + int(timeout.total * 1e9)
        ends = total if ends is None else min(ends, total)
    return ends
