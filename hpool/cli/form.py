"""-F NAME=CONTENT, as curl reads it."""

from __future__ import annotations

import os
import re
import sys

from . import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import Any

_QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"[^;]*')


def part(text: str, files: ExitStack) -> tuple[str, Any]:
    """The entry of files= for VALUE, @FILE or <FILE with ;type= and ;filename=
    behind it. A value with a semicolon in it stands in double quotes. What is
    opened closes with `files`. CommandError."""
    name, equals, rest = text.partition("=")
    if not equals:
        raise CommandError("-F takes NAME=VALUE, NAME=@FILE or NAME=<FILE")
    how = rest[0] if rest[:1] in ("@", "<") else ""
    content, rest = _word(rest.removeprefix(how))
    said = _notes(rest)
    kind, shown = said.get("type"), said.get("filename")
    if how == "@":
        if shown is None:
            shown = os.path.basename(content)
        return name, (shown, opened(content, files), kind)
    data = read(content) if how == "<" else os.fsencode(content)
    return name, (shown, data, kind)


def read(path: str) -> bytes:
    """The whole file; "-" is standard input."""
    if path == "-":
        return sys.stdin.buffer.read()
    with open(path, "rb") as file:
        return file.read()


def opened(path: str, files: ExitStack) -> Any:
    """The file, to be read as it is sent; "-" is standard input."""
    if path == "-":
        return sys.stdin.buffer
    return files.enter_context(open(path, "rb"))


def _word(text: str) -> tuple[str, str]:
    """(what stands before the next semicolon, the rest from there on)"""
    quoted = _QUOTED.match(text)
    if quoted is not None:
        word = re.sub(r'\\(["\\])', r"\1", quoted[1])
        return word, text[quoted.end() :]
    word, mark, rest = text.partition(";")
    return word, mark + rest


def _notes(text: str) -> dict[str, str]:
    """{"type": ..., "filename": ...} of what stands behind the content."""
    said: dict[str, str] = {}
    last = ""
    while text.strip("; \t"):
        key, equals, text = text.lstrip("; \t").partition("=")
        word, text = _word(text)
        if key in ("type", "filename"):
            said[key], last = word.strip(), key
        elif equals and last == "type" and ";" not in key:
            said["type"] += f";{key}={word.strip()}"  # its parameter
        else:
            # Not with its text: there may be a secret in it.
            raise CommandError(
                "-F: behind a ; stands type= or filename=; a value that has "
                "one in it goes in double quotes"
            )
    return said
