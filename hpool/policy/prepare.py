"""Requests that are made first and sent later, with what a client adds."""

from __future__ import annotations

from .redirects import ascii_url
from .request import PreparedRequest, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._core import Client


def build(
    client: Client,
    method: str,
    url: str,
    headers: Any,
    arguments: dict[str, Any],
    settings: dict[str, Any],
) -> PreparedRequest:
    """For Client.build_request(); arguments as of `flow.call`."""
    request = PreparedRequest(
        method,
        ascii_url(url),
        headers,
        hooks=arguments.get("hooks") or settings.get("hooks"),
        extensions=arguments.get("extensions"),
    )
    if "timeout" in arguments:
        request.extensions["timeout"] = arguments["timeout"]
    request._encode(arguments)
    _add_cookies(request, arguments.get("cookies"), settings.get("cookies"))
    if arguments.get("auth") is not None:
        request.prepare_auth(arguments["auth"])
    return request


def _add_cookies(request: PreparedRequest, given: Any, kept: Any) -> None:
    if given is None and kept is None:
        return
    from .cookies import CallCookies

    own = "; ".join(request.headers.get_list("Cookie"))
    header = CallCookies(kept, given, own).header(request.url, True)
    if header:
        request.headers["Cookie"] = header


def prepare(client: Client, request: Any) -> PreparedRequest:
    """For Client.prepare_request(). TypeError."""
    if not isinstance(request, Request):
        raise TypeError(
            "prepare_request() takes an hpool.Request, not "
            f"{type(request).__name__}"
        )
    prepared = client.build_request(
        request.method or "GET",
        request.url or "",
        params=request.params,
        headers=request.headers,
        data=request.data,
        json=request.json,
        files=request.files,
        cookies=request.cookies,
        hooks=request.hooks if request.hooks["response"] else None,
    )
    auth = client.auth if request.auth is None else request.auth
    prepared.prepare_auth(auth)
    return prepared
