"""What Session has in the manner of requests: the steps of a call as methods,
which a subclass may have its own of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from .._redact import url_for_text
from ..errors import TooManyRedirects
from . import redirects
from .request import PreparedRequest, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .._core import Client, Response, Session


def request(
    client: Client, method: str, url: str, given: dict[str, Any]
) -> Any:
    """A call on a client that has its own send() or another step of sending: by
    way of these. given: the arguments by name."""
    prepared = client.prepare_request(_described(method, url, given))
    extensions = given.pop("extensions", None)
    if extensions:
        prepared.extensions.update(extensions)
    if given.get("timeout", ...) is ...:
        given.pop("timeout", None)
    said = _take(given, "allow_redirects", "follow_redirects").values()
    follow = next((value for value in said if value is not None), None)
    if follow is None:
        follow = client.follow_redirects and method != "HEAD"
    merge = getattr(client, "merge_environment_settings", None)
    if merge is None:  # it is Session's
        merge = partial(merge_environment_settings, client)
    merged = _take(given, "proxies", "stream", "verify", "cert").values()
    how = merge(prepared.url, *merged)
    return client.send(prepared, **{"allow_redirects": follow, **given, **how})


def _take(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: given.pop(name, None) for name in names}


def _described(method: str, url: str, given: dict[str, Any]) -> Request:
    """The request that is to be prepared, of what of `given` belongs to it."""
    parts = _take(
        given, "headers", "files", "data", "params", "auth", "cookies",
        "hooks", "json",
    )  # fmt: skip
    made = Request(method, url, **parts)
    content = given.pop("content", None)
    if content is not None:
        made.data = content
    return made


# ---- the steps of requests ---------------------------------------------------


def merge_environment_settings(
    client: Client,
    url: str,
    proxies: Any,
    stream: Any,
    verify: Any,
    cert: Any,
) -> dict[str, Any]:
    """See Session.merge_environment_settings."""
    return {
        "proxies": _merged_proxies(client, url, proxies),
        "stream": bool(client.stream) if stream is None else stream,
        "verify": client.verify if verify is None else verify,
        "cert": client.cert if cert is None else cert,
    }


def _merged_proxies(client: Client, url: str, proxies: Any) -> Any:
    """What a call says, the client, and the environment."""
    own = client.proxies
    if not isinstance(proxies, (Mapping, type(None))) or callable(own):
        return proxies
    from .environment import get_environ_proxies

    merged = {**own, **(proxies or {})}
    if client.trust_env:
        no_proxy = merged.get("no_proxy")
        merged = {**get_environ_proxies(url, no_proxy), **merged}
    return merged


def get_redirect_target(client: Session, resp: Any) -> str | None:
    """See Session.get_redirect_target."""
    if not resp.is_redirect:
        return None
    return redirects.as_text(redirects.target_of(resp))


def should_strip_auth(client: Session, old_url: str, new_url: str) -> bool:
    """See Session.should_strip_auth."""
    return not redirects.is_same_origin(old_url, new_url)


def rebuild_auth(
    client: Session, prepared_request: PreparedRequest, response: Any
) -> None:
    """See Session.rebuild_auth."""
    if client.should_strip_auth(response.request.url, prepared_request.url):
        prepared_request.headers.pop("Authorization", None)


def rebuild_method(
    client: Session, prepared_request: PreparedRequest, response: Any
) -> None:
    """See Session.rebuild_method."""
    redirects.change_method(prepared_request, response.status_code)


def rebuild_proxies(
    client: Session, prepared_request: PreparedRequest, proxies: Any
) -> dict[str, Any]:
    """See Session.rebuild_proxies."""
    from .environment import resolve_proxies

    prepared_request.headers.pop("Proxy-Authorization", None)
    given = {**client.proxies, **(proxies or {})}
    return resolve_proxies(prepared_request, given, client.trust_env)


def resolve_redirects(
    client: Session,
    resp: Response,
    req: PreparedRequest,
    stream: bool = False,
    timeout: Any = None,
    verify: Any = True,
    cert: Any = None,
    proxies: Any = None,
    yield_requests: bool = False,
    **adapter_kwargs: Any,
) -> Iterator[Any]:
    """See Session.resolve_redirects."""
    history: list[Response] = []
    while target := client.get_redirect_target(resp):
        following = redirects.following(req, resp, target=target)
        if following is None:
            return
        if len(history) >= client.max_redirects:
            raise TooManyRedirects(
                f"stopped after {len(history)} redirects; the next leads to "
                f"{url_for_text(following.url)}",
                request=following,
                response=resp,
            )
        following.method = req.method
        client.rebuild_method(following, resp)
        proxies = client.rebuild_proxies(following, proxies)
        _put_credentials(req, following)
        client.rebuild_auth(following, resp)
        _put_cookies(client, following)
        if yield_requests:
            yield following
            return
        req = following
        req._rewind()
        history.append(resp)
        resp = client.send(
            req, stream=stream, timeout=timeout, verify=verify, cert=cert,
            proxies=proxies, allow_redirects=False, **adapter_kwargs,
        )  # fmt: skip
        resp.history[:] = history
        yield resp


def _put_cookies(client: Session, request: PreparedRequest) -> None:
    """Those that the session has got by now, besides its own."""
    from .cookies import CallCookies

    own = request.headers.pop("Cookie", "")
    cookies = CallCookies(client.cookies, None, own)
    line = cookies.header(request.url, request._is_named)
    if line:
        request.headers["Cookie"] = line


def own_steps(
    client: Any,
    own: frozenset[str],
    request: PreparedRequest,
    following: PreparedRequest,
    response: Any,
    sent: dict[str, Any],
) -> None:
    """Has the methods that somebody has put in place of ours say what they have
    to say of the request `following`, and of what it is `sent` with."""
    if "rebuild_method" in own:
        following.method = request.method
        client.rebuild_method(following, response)
    if "rebuild_proxies" in own:
        sent["proxies"] = client.rebuild_proxies(following, sent.get("proxies"))
    if "rebuild_auth" in own or "should_strip_auth" in own:
        _put_credentials(request, following)
        client.rebuild_auth(following, response)


def _put_credentials(
    request: PreparedRequest, following: PreparedRequest
) -> None:
    """rebuild_auth() begins with those of the request before."""
    credentials = request.headers.get("Authorization")
    if credentials is not None:
        following.headers["Authorization"] = credentials
