"""What Session has in the manner of requests: the steps of a call as methods,
which a subclass may have its own of."""

from __future__ import annotations

from functools import partial

from . import redirects
from .request import PreparedRequest, Request
from .settings import overrides

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .._core import Client, Response, Session


def request(
    client: Client, method: str, url: str, given: dict[str, Any]
) -> Any:
    """A call on a client whose class has its own send() or prepare_request():
    by way of these. given: the arguments by name."""
    names = ("headers", "files", "data", "params", "auth", "cookies", "hooks")
    made = Request(
        method, url, json=given.pop("json", None),
        **{name: given.pop(name, None) for name in names},
    )  # fmt: skip
    content = given.pop("content", None)
    if content is not None:
        made.data = content
    prepared = client.prepare_request(made)
    prepared.extensions.update(given.pop("extensions", None) or {})
    if given.get("timeout", ...) is ...:
        given.pop("timeout", None)
    follow = [given.pop(n, None) for n in ("allow_redirects", "follow_redirects")]
    said = [value for value in follow if value is not None]
    default = client.follow_redirects and method != "HEAD"
    merge = getattr(client, "merge_environment_settings", None)
    merged = (given.pop(n, None) for n in ("proxies", "stream", "verify", "cert"))
    how = {
        "allow_redirects": said[0] if said else default,
        **given,
        **(merge or partial(merge_environment_settings, client))(
            prepared.url, *merged
        ),
    }
    return client.send(prepared, **how)


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
        "proxies": {**client.proxies, **(proxies or {})} or None,
        "stream": stream,
        "verify": client.verify if verify is None else verify,
        "cert": client.cert if cert is None else cert,
    }


def get_redirect_target(client: Session, resp: Any) -> str | None:
    """See Session.get_redirect_target."""
    location: str | None = resp.headers.get("Location")
    return location if resp.is_redirect else None


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
    while resp.is_redirect:
        following = redirects.following(req, resp)
        if following is None:
            return
        own_steps(client, overrides(type(client)), req, following, resp)
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
    line = cookies.header(request.url, True)
    if line:
        request.headers["Cookie"] = line


def own_steps(
    client: Any,
    settings: dict[str, Any],
    request: PreparedRequest,
    following: PreparedRequest,
    response: Any,
) -> None:
    """Has a subclass say of the request `following` what it has methods for.
    Those of requests expect the credentials still to be there."""
    own = settings.get("overrides", ())
    if "rebuild_method" in own:
        following.method = request.method
        client.rebuild_method(following, response)
    if "rebuild_auth" in own or "should_strip_auth" in own:
        credentials = request.headers.get("Authorization")
        if credentials is not None:
            following.headers["Authorization"] = credentials
        client.rebuild_auth(following, response)
