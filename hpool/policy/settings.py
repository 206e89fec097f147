"""The settings of a client that are a matter of policy.

The client keeps them as a dict in its snapshot that nobody changes: what is
off is not in it, so that an empty one means a plain client. `follow_redirects`,
`max_redirects` and `check_redirect` count once an answer is there; any other
name sends every request through `flow`.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._retries import parse_retries
from ..errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

MAX_REDIRECTS = 30

# The settings that another module of this package understands, and with what.
_OWNERS = {
    "auth": ("auth", "of"),
    "cookies": ("cookies", "of"),
}


def settle(given: dict[str, Any]) -> dict[str, Any]:
    """What Client() was given as a dict to keep. TypeError, ValueError."""
    names = dict(given)
    allow = names.pop("allow_redirects", None)
    if allow is not None:
        follow = names.setdefault("follow_redirects", allow)
        if follow is not allow:
            raise TypeError(
                "follow_redirects and allow_redirects mean the same and "
                "cannot differ"
            )
    transport = names.pop("transport", None)
    if transport is not None:
        names["mounts"] = {"all://": transport, **(names.get("mounts") or {})}
    settings: dict[str, Any] = {}
    for name, value in names.items():
        _put(settings, name, value)
    return settings


def change(settings: dict[str, Any] | None, name: str, value: Any) -> Any:
    """`settings` with one more or less. TypeError, ValueError."""
    changed = dict(settings or {})
    for gone in _OVERRIDES if name == "overrides" else (name,):
        changed.pop(gone, None)
    _put(changed, name, value)
    return changed


def get(settings: dict[str, Any] | None, name: str) -> tuple[Any, Any]:
    """(the value of an attribute, the settings with it in them or None).

    What is handed out to be filled has to be the one in force.
    """
    if settings is not None and name in settings:
        return settings[name], None
    if name in _HANDED_OUT:
        value = _HANDED_OUT[name]()
        return value, {**(settings or {}), name: value}
    if name == "mounts":
        return mounts(name, {}), None
    return _DEFAULTS.get(name), None


def _put(settings: dict[str, Any], name: str, value: Any) -> None:
    if name == "overrides":
        settings.update(overrides(value))
    elif value is not None:
        kept = _CHECKS[name](name, value)
        if kept is not None and (name != "mounts" or kept):
            settings[name] = kept


# ---- one by one --------------------------------------------------------------


def owner(name: str) -> ModuleType:
    """The module of this package that understands the argument `name`."""
    from importlib import import_module

    module, _ = _OWNERS[name]
    try:
        return import_module(f"{__package__}.{module}")
    except ModuleNotFoundError as exc:
        raise TypeError(f"got an unexpected keyword argument {name!r}") from exc


def netrc(name: str, value: Any) -> Any:
    """None when there is no such file after all."""
    from .netrc import NetrcAuth, find_file

    file = find_file()
    return None if file is None else NetrcAuth(file)


def _owned(name: str, value: Any) -> Any:
    """`value` as it is, once its module has said that it is fine."""
    getattr(owner(name), _OWNERS[name][1])(value)
    return value


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(
            f"{name} must be True or False, not {type(value).__name__}"
        )
    return value


def count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = value.__index__()
    if number < 0:
        raise InvalidArgument(f"{name} takes a number from 0 up, not {number}")
    return int(number)


def function(name: str, value: Any) -> Any:
    if not callable(value):
        raise TypeError(
            f"{name} must be a callable or None, not {type(value).__name__}"
        )
    return value


def hooks(name: str, value: Any) -> dict[str, list[Any]]:
    """{"response": f or [f, ...]} with a list for every name: requests' hooks
    know "response", httpx's event_hooks "request" as well. The dict and the
    lists in it are kept, so that who has them can go on filling them."""
    events = _EVENTS[name]
    takes = f"{name} takes a dict of {' and '.join(events)}"
    if not isinstance(value, Mapping):
        raise TypeError(f"{takes}, not {type(value).__name__}")
    kept = value if isinstance(value, dict) else dict(value)
    for event in list(kept):
        if event not in events:
            raise InvalidArgument(f"{takes}, not {event!r}")
        kept[event] = _functions(f"{name}[{event!r}]", kept[event])
    for event in events:
        kept.setdefault(event, [])
    return kept


def _functions(name: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if callable(value):
        return [value]
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        function(name, value)
    functions = value if isinstance(value, list) else list(value)
    for f in functions:
        function(name, f)
    return functions


def retries(name: str, value: Any) -> Any:
    """None when nothing is tried again here: what the pool itself sends again
    is the core's."""
    parsed = parse_retries(value)
    return None if parsed.are_off else parsed


def mounts(name: str, value: Any) -> Any:
    from .mounts import Mounts

    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} takes a mapping of prefixes to transports, not "
            + type(value).__name__
        )
    return Mounts(value)


# The settings that come of methods somebody has put in place of ours.
_OVERRIDES = ("overrides", "send", "get_adapter", "get_redirect_target")

_SENDING = {"send", "prepare_request", "merge_environment_settings"}


def overrides(own: frozenset[str]) -> dict[str, Any]:
    """The settings of a client with its `own` steps: "send" where a call is
    their affair altogether, those that are looked for at each hop, and the
    others, which concern redirects, as "overrides"."""
    settings: dict[str, Any] = {}
    if own & _SENDING:
        settings["send"] = True
    for name in own & {"get_adapter", "get_redirect_target"}:
        settings[name] = True
    rest = own - _SENDING - settings.keys()
    return {**settings, "overrides": rest} if rest else settings


def cookies(name: str, value: Any) -> Any:
    return owner(name).of(value)


_EVENTS = {"hooks": ("response",), "event_hooks": ("request", "response")}

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "auth": _owned,
    "netrc": netrc,
    "retries": retries,
    "cookies": cookies,
    "hooks": hooks,
    "event_hooks": hooks,
    "follow_redirects": flag,
    "max_redirects": count,
    "check_redirect": function,
    "mounts": mounts,
}

_HANDED_OUT: dict[str, Callable[[], Any]] = {
    "cookies": lambda: cookies("cookies", {}),
    "hooks": lambda: hooks("hooks", {}),
    "event_hooks": lambda: hooks("event_hooks", {}),
}

_DEFAULTS = {"follow_redirects": True, "max_redirects": MAX_REDIRECTS}
