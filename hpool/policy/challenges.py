"""What a server asks for: the challenges of WWW-Authenticate (RFC 9110, 11),
and the parameters of Authentication-Info."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAMETER = re.compile(rf"({_TOKEN})[ \t]*=[ \t]*({_QUOTED}|{_TOKEN})")
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|(?=,|$))")
_TOKEN68 = re.compile(r"([A-Za-z0-9\-._~+/]+=*)[ \t]*(?=,|$)")
_GAP = re.compile(r"[ \t]*(?:,[ \t]*)*")


class Challenge:
    """One challenge.

    scheme      in lower case, "digest"
    parameters  by name in lower case, the first of each counts
    token68     what stands in place of parameters, or None
    """

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.parameters: dict[str, str] = {}
        self.token68: str | None = None


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges of header fields, in order. One that is malformed ends
    its field; what stood before it counts."""
    found: list[Challenge] = []
    for value in values:
        found += _challenges(value)
    return found


def parse_parameters(value: str) -> dict[str, str]:
    """`name=value, name="value"` by name in lower case."""
    challenge = Challenge("")
    _read_parameters(challenge, value, _skip_gap(value, 0))
    return challenge.parameters


def quote(value: str) -> str:
    """`value` as a quoted-string."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _challenges(value: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = _skip_gap(value, 0)
    while at < len(value):
        scheme = _SCHEME.match(value, at)
        if scheme is None:
            break
        challenge = Challenge(scheme[1].lower())
        at = scheme.end()
        token = _TOKEN68.match(value, at)
        if token is not None:
            challenge.token68 = token[1]
            at = _skip_gap(value, token.end())
        else:
            at = _read_parameters(challenge, value, _skip_gap(value, at))
        found.append(challenge)
    return found


def _read_parameters(challenge: Challenge, value: str, at: int) -> int:
    """Where the next challenge begins."""
    while (parameter := _PARAMETER.match(value, at)) is not None:
        name, text = parameter[1].lower(), parameter[2]
        challenge.parameters.setdefault(name, _unquoted(text))
        at = _skip_gap(value, parameter.end())
    return at


def _skip_gap(value: str, at: int) -> int:
    gap = _GAP.match(value, at)
    return at if gap is None else gap.end()


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1])
