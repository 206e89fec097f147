"""Who a request is from: basic, bearer, callables and generators; digest and
netrc have files of their own.

An auth is an object with `flow(request)`, a generator that yields requests
and is sent their responses; `of` makes one of anything that auth= takes.
"""

from __future__ import annotations

from base64 import b64encode

from ..errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Protocol, TypeAlias

    from .digest import DigestAuth
    from .netrc import NetrcAuth
    from .request import PreparedRequest

    class HasFlow(Protocol):
        """What `of` gives back."""

        def flow(self, request: PreparedRequest) -> Rounds: ...

    Rounds: TypeAlias = Generator[PreparedRequest, Any, None]

_TAKES = (
    'auth takes a ("user", "password") tuple, an object of hpool.auth, a '
    "callable that is given the request and returns it, an object with "
    "auth_flow, or False for none"
)


class Auth:
    """The base of the classes here, and of your own.

    Override `__call__`, as with requests, to change a request before it is
    sent; or `auth_flow`, as with httpx, to see the answer and to send again.

    requires_request_body    whether `request.body` has to be bytes by then
    requires_response_body   whether the body of an answer has to have been
                             read when it is sent to the generator
    """

    requires_request_body = False
    requires_response_body = False

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with what identifies it."""
        raise NotImplementedError(
            f"{type(self).__name__} has neither __call__ nor auth_flow"
        )

    def auth_flow(self, request: PreparedRequest) -> Rounds:
        """Yields the requests to be sent, and is sent their responses."""
        yield self(request)

    def sync_auth_flow(self, request: PreparedRequest) -> Rounds:
        """auth_flow with the bodies read that it requires."""
        return _with_bodies(self, request)

    def flow(self, request: PreparedRequest) -> Rounds:
        return self.sync_auth_flow(request)


def _with_bodies(auth: Any, request: PreparedRequest) -> Rounds:
    if getattr(auth, "requires_request_body", False):
        request.read()
    rounds = auth.auth_flow(request)
    try:
        asked = next(rounds, None)
        while asked is not None:
            response = yield asked
            if getattr(auth, "requires_response_body", False):
                response.content
            try:
                asked = rounds.send(response)
            except StopIteration:
                return
    finally:
        rounds.close()


# ---- basic and bearer --------------------------------------------------------


def credential(name: str, value: object) -> str | bytes:
    """A user name or password. TypeError for anything else than text."""
    if isinstance(value, (str, bytes)):
        return value
    kind = type(value).__name__
    raise TypeError(f"{name} must be a str or bytes, not {kind}")


def _octets(value: str | bytes) -> bytes:
    """As requests encodes them; what is not Latin-1 goes out as UTF-8."""
    if isinstance(value, bytes):
        return value
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def basic_value(username: str | bytes, password: str | bytes) -> bytes:
    """The value of Authorization: "Basic dTpw"."""
    pair = _octets(username) + b":" + _octets(password)
    return b"Basic " + b64encode(pair)


class PasswordAuth(Auth):
    """What has a user name and a password; equal when both are."""

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self.username = credential("username", username)
        self.password = credential("password", password)

    def __eq__(self, other: object) -> bool:
        return (
            self.username == getattr(other, "username", None)
            and self.password == getattr(other, "password", None)
        )

    def __hash__(self) -> int:
        return hash((self.username, self.password))


class BasicAuth(PasswordAuth):
    """A user name and a password with every request.

    username, password  str (sent as Latin-1, or as UTF-8 where that has no
                        such character) or bytes, sent as they are
    """

    _header = "Authorization"

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        value = basic_value(self.username, self.password)
        request.headers[self._header] = value
        return request


class ProxyAuth(BasicAuth):
    """The same for the proxy of a plain http request: Proxy-Authorization."""

    _header = "Proxy-Authorization"


class BearerAuth(Auth):
    """A token with every request: "Authorization: Bearer <token>".

    token  str or bytes of visible ASCII, without the word Bearer
    """

    def __init__(self, token: str | bytes) -> None:
        text = credential("token", token)
        if isinstance(text, bytes):
            text = text.decode("latin-1")
        if not text or any(not "!" <= c <= "~" for c in text):
            raise InvalidArgument(
                "token takes visible ASCII without a space, and without the "
                "word Bearer, which is added"
            )
        self.token = text

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


# ---- what others wrote -------------------------------------------------------


class _Callable:
    """requests' form: auth(request) -> request."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def flow(self, request: PreparedRequest) -> Rounds:
        yield self._function(request)


class _Generator:
    """httpx's form: auth_flow(request) yields requests."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def flow(self, request: PreparedRequest) -> Rounds:
        rounds = getattr(self._value, "sync_auth_flow", None)
        if rounds is None:
            return _with_bodies(self._value, request)
        made: Rounds = rounds(request)
        return made


class _Off:
    """No auth, not even from the URL or netrc."""

    def flow(self, request: PreparedRequest) -> Rounds:
        yield request


OFF = _Off()


def as_prepared(request: Any) -> PreparedRequest:
    """What a flow has yielded, ready to be sent. TypeError."""
    from .request import PreparedRequest, Request

    if isinstance(request, Request):
        request = request.prepare()
    if not isinstance(request, PreparedRequest):
        raise TypeError(
            "an auth must yield or return the request it was given, or a "
            f"PreparedRequest, not {type(request).__name__}"
        )
    return request


def of(value: Any) -> HasFlow:
    """The object with `flow` that `value`, given as auth=, stands for; OFF
    for False. TypeError."""
    if isinstance(value, Auth):
        return value
    if value is False:
        return OFF
    if isinstance(value, tuple) and len(value) == 2:
        return BasicAuth(*value)
    if isinstance(value, (str, bytes)):
        raise TypeError(
            f"{_TAKES}; for a token that is hpool.auth.BearerAuth(token)"
        )
    return _of_object(value)


def _of_object(value: Any) -> HasFlow:
    if isinstance(value, type):
        raise TypeError(f"{_TAKES}, not the class {value.__name__} itself")
    ours = _counterpart(value)
    if ours is not None:
        return ours
    if hasattr(value, "auth_flow") or hasattr(value, "sync_auth_flow"):
        return _Generator(value)
    if callable(value):
        return _Callable(value)
    raise TypeError(f"{_TAKES}, not {type(value).__name__}")


def _counterpart(value: Any) -> HasFlow | None:
    """Ours for the auths of other libraries that need more of a request than
    its headers: their own response hook, their own URL class."""
    cls = type(value)
    library = cls.__module__.partition(".")[0]
    if (library, cls.__name__) == ("requests", "HTTPDigestAuth"):
        return _kept_digest(value, value.username, value.password)
    if library in ("httpx", "httpx2") and cls.__name__ == "DigestAuth":
        return _kept_digest(value, value._username, value._password)
    if library in ("httpx", "httpx2") and cls.__name__ == "NetRCAuth":
        from .netrc import NetrcAuth

        return NetrcAuth.of_parsed(value._netrc_info)
    return None


def _kept_digest(value: Any, username: Any, password: Any) -> DigestAuth:
    """The DigestAuth of a foreign one: always the same, for its nonces."""
    from .digest import DigestAuth

    ours: DigestAuth | None = vars(value).get("_hpool_auth")
    if ours is None or (ours.username, ours.password) != (username, password):
        ours = DigestAuth(username, password)
        vars(value)["_hpool_auth"] = ours
    return ours


def puts_all_in(auth: HasFlow) -> bool:
    """It changes a request and wants to see no answer."""
    if isinstance(auth, Auth):
        own = type(auth)
        return (
            own.auth_flow is Auth.auth_flow
            and own.sync_auth_flow is Auth.sync_auth_flow
            and own.flow is Auth.flow
        )
    return isinstance(auth, _Callable)


# ---- which one it is ---------------------------------------------------------


def split_userinfo(url: str) -> tuple[str, tuple[bytes, bytes] | None]:
    """(`url` without credentials, the credentials in it percent-decoded, or
    None where they are empty or there are none)."""
    scheme, mark, rest = url.partition("://")
    end = min((rest.find(c) for c in "/?#\\" if c in rest), default=len(rest))
    userinfo, at, _ = rest[:end].rpartition("@")
    if not mark or not at:
        return url, None
    from urllib.parse import unquote_to_bytes

    user, _, password = userinfo.partition(":")
    pair = unquote_to_bytes(user), unquote_to_bytes(password)
    url = scheme + mark + rest[len(userinfo) + 1 :]
    return url, pair if any(pair) else None


def choose(
    explicit: HasFlow | None, request: PreparedRequest, netrc: NetrcAuth | None
) -> HasFlow | None:
    """What `request` is sent with. Takes the credentials out of its URL.

    explicit  auth= of the call, else of the client
    netrc     None where it is switched off

    In this order: what was given as auth, the header Authorization that is
    there, credentials in the URL, netrc.
    """
    request.url, pair = split_userinfo(request.url)
    if explicit is not None:
        return None if explicit is OFF else explicit
    if "Authorization" in request.headers:
        return None
    if pair is not None:
        return BasicAuth(*pair)
    return netrc
