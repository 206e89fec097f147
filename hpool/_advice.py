"""Advice: what `client.advise()` finds."""

from __future__ import annotations

from ._frozen import Frozen


class Advice(Frozen):
    """One thing that is wrong with how a client is set up or used.

    code      what it is, in short: "idle_cap". A name that stays
    severity  "problem": it costs connections, time or requests now;
              "hint": it may, or costs little
    host      "example.com:443", None when it is no single host's
    finding   a sentence with the figures that show it
    change    a sentence: which setting or code to change, and to what
    figures   the numbers of both, by name

    `str()` is both sentences.
    """

    __slots__ = ("code", "severity", "host", "finding", "change", "figures")

    code: str
    severity: str
    host: str | None
    finding: str
    change: str
    figures: dict[str, float]

    def __init__(
        self,
        code: str,
        severity: str,
        host: str | None,
        finding: str,
        change: str,
        figures: dict[str, float],
    ) -> None:
        self._fill({
            "code": code,
            "severity": severity,
            "host": host,
            "finding": finding,
            "change": change,
            "figures": figures,
        })

    def __hash__(self) -> int:
        return hash((self.code, self.host, self.finding))

    def __str__(self) -> str:
        return f"{self.finding}. {self.change}."
