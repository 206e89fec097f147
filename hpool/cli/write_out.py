"""What -w prints after an answer: `timings`, or curl's variables."""

from __future__ import annotations

import re

from .._records import show_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import hpool

    Variable = Callable[[hpool.Response, int], object]

_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\"}


def _at(*moments: str) -> Variable:
    """Seconds from the beginning to the last of these that came."""

    def seconds(response: hpool.Response, size: int) -> str:
        passed = [getattr(response.timings, at) or 0.0 for at in moments]
        return f"{max(passed):.6f}"

    return seconds


VARIABLES: dict[str, Variable] = {
    "content_type": lambda r, size: r.headers.get("content-type", ""),
    "http_code": lambda r, size: f"{r.status_code:03}",
    "http_version": lambda r, size: r.http_version.partition("/")[2],
    "local_ip": lambda r, size: r.connection.local.rpartition(":")[0],
    "method": lambda r, size: r.request.method,
    "num_connects": lambda r, size: int(not r.connection.reused),
    "num_redirects": lambda r, size: len(r.history),
    "remote_ip": lambda r, size: r.connection.remote.rpartition(":")[0],
    "remote_port": lambda r, size: r.connection.remote.rpartition(":")[2],
    "response_code": lambda r, size: f"{r.status_code:03}",
    "scheme": lambda r, size: r.url.partition(":")[0].upper(),
    "size_download": lambda r, size: size,
    "time_namelookup": _at("resolved"),
    "time_connect": _at("connected"),
    "time_appconnect": _at("secured"),
    "time_pretransfer": _at("acquired"),
    "time_starttransfer": _at("first_byte"),
    "time_total": _at("ended", "head"),
    "url_effective": lambda r, size: r.url,
}


def unknown_variable(template: str) -> str | None:
    """The first name in `template` that stands for nothing."""
    for name in re.findall(r"%\{([^}]*)\}", template):
        if name not in VARIABLES:
            return str(name)
    return None


def text(template: str, response: hpool.Response, size: int) -> str:
    """`template` filled in; "timings" is a table of all phases."""
    if template == "timings":
        return "".join(f"{line}\n" for line in timing_lines(response))

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return str(VARIABLES[found[1]](response, size))
        return "%" if found[0] == "%%" else _ESCAPES[found[0]]

    return re.sub(r"%\{([^}]*)\}|%%|\\[nrt\\]", value, template)


def timing_lines(response: hpool.Response) -> Iterator[str]:
    """A line for each phase that there was."""
    timings = response.timings
    for title, seconds in (
        ("wait in line", timings.pool),
        ("name look-up", timings.dns),
        ("connect", timings.connect),
        ("TLS handshake", timings.tls),
        ("send", timings.send),
        ("server's answer", timings.wait),
        ("body", timings.read),
        ("total", timings.total),
    ):
        if seconds is not None:
            yield f"{title:<16}{show_seconds(seconds):>8}"
