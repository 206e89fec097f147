"""curl's letters for `python -m hpool get`: the arguments, and the request that
they stand for."""

from __future__ import annotations

import argparse
import os
import sys

from . import CommandError
from .load_options import amount_type, count_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import Any

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-X", "--request", metavar="METHOD", help="instead of GET or POST")
    add("-I", "--head", action="store_true", help="ask for the head only")
    add(
        "-H",
        "--header",
        metavar="LINE",
        action="append",
        default=[],
        help="'Name: value'; 'Name:' leaves one out, 'Name;' sends it empty",
    )
    add("-A", "--user-agent", metavar="NAME", help="User-Agent")
    add("-e", "--referer", metavar="URL", help="Referer")
    add("-b", "--cookie", metavar="DATA", help="Cookie, as 'a=1; b=2'")
    body = parser.add_argument_group("what is sent")
    _add_body(body)
    way = parser.add_argument_group("the way there")
    _add_way(way)


def _add_body(group: argparse._ArgumentGroup) -> None:
    for flags, how in (
        (("-d", "--data"), "a form; several are joined by &; @FILE reads one"),
        (("--data-raw",), "the same, and @ means nothing"),
        (("--data-binary",), "the same, line ends of a FILE kept"),
    ):
        group.add_argument(
            *flags,
            metavar="DATA",
            action=_Data,
            dest="data",
            default=[],
            help=how,
        )
    group.add_argument(
        "--json", metavar="DATA", help="JSON, with its headers; @FILE reads it"
    )
    group.add_argument(
        "-F",
        "--form",
        metavar="NAME=CONTENT",
        action="append",
        default=[],
        help="multipart: value, @FILE (uploaded) or <FILE (read); "
        ";type= and ;filename= may follow",
    )
    group.add_argument("-T", "--upload-file", metavar="FILE", help="PUT a file")
    group.add_argument(
        "-G", "--get", action="store_true", help="put -d into the URL"
    )


def _add_way(group: argparse._ArgumentGroup) -> None:
    _add_trust(group)
    add = group.add_argument
    add("-L", "--location", action="store_true", help="follow redirects")
    add("--max-redirs", metavar="N", type=count_type(0), help="at most (30)")
    add("-x", "--proxy", metavar="URL", help="http, https, socks5, socks5h")
    add("--unix-socket", metavar="PATH", help="connect there")
    add(
        "--retry",
        metavar="N",
        type=count_type(0),
        default=0,
        help="try again so often after errors that may pass",
    )
    for flags, how in (
        (("-m", "--max-time"), "for all of it"),
        (("--connect-timeout",), "to connect"),
    ):
        add(*flags, metavar="S", type=amount_type("seconds"), help=how)


def _add_trust(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-u",
        "--user",
        metavar="NAME:PASSWORD",
        help="asks for the password if there is none",
    )
    add("--digest", action="store_true", help="-u by digest")
    add("-k", "--insecure", action="store_true", help="trust any certificate")
    add("--cacert", metavar="FILE", help="trust this authority")
    add("-E", "--cert", metavar="FILE", help="the client's certificate")
    add("--key", metavar="FILE", help="its key, if it is not in that file")


class _Data(argparse.Action):
    """Keeps each piece with how it is to be read."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        pieces = [*namespace.data, (option_string, values)]
        namespace.data = pieces


# ---- the client --------------------------------------------------------------


def client_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    import hpool

    settings: dict[str, Any] = {}
    if arguments.insecure:
        settings["verify"] = False
    elif arguments.cacert:
        settings["verify"] = arguments.cacert
    if arguments.cert:
        settings["cert"] = (arguments.cert, arguments.key or arguments.cert)
    if arguments.unix_socket:
        settings["uds"] = arguments.unix_socket
    if arguments.proxy:
        settings["proxy"] = arguments.proxy
    limits = {}
    if arguments.max_time:
        limits["total"] = arguments.max_time
    if arguments.connect_timeout:
        limits["connect"] = limits["tls"] = arguments.connect_timeout
    if limits:
        settings["timeout"] = hpool.Timeout(**limits)
    return settings


# ---- the request -------------------------------------------------------------


def call(
    arguments: argparse.Namespace, files: ExitStack
) -> tuple[str, str, dict[str, Any]]:
    """Method, URL and keywords for Client.request(); what is opened for them
    closes with `files`. CommandError for what does not go together."""
    keywords: dict[str, Any] = {"follow_redirects": arguments.location}
    url = arguments.url
    headers = _headers(arguments)
    sent = None
    if arguments.get and arguments.data:
        query = os.fsdecode(_form(arguments.data))
        url += ("&" if "?" in url else "?") + query
    else:
        sent = _body(arguments, keywords, headers, files)
    if arguments.user is not None:
        keywords["auth"] = _auth(arguments)
    if arguments.max_redirs is not None:
        keywords["max_redirects"] = arguments.max_redirs
    if arguments.retry:
        keywords["retries"] = arguments.retry
    keywords["headers"] = headers
    method = arguments.request or ("HEAD" if arguments.head else sent or "GET")
    return method, url, keywords


def _headers(arguments: argparse.Namespace) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for name, value in (
        ("User-Agent", arguments.user_agent),
        ("Referer", arguments.referer),
        ("Cookie", arguments.cookie),
    ):
        if value is not None:
            found.append((name, value))
    return found + [_header(line) for line in arguments.header]


def _header(line: str) -> tuple[str, str | None]:
    name, colon, value = line.partition(":")
    if colon:
        return name.strip(), value.strip() or None
    if line.endswith(";"):
        return line[:-1].strip(), ""
    # Not with its text: there may be a secret in it.
    raise CommandError("-H takes 'Name: value', 'Name:' or 'Name;'")


def _says(headers: list[tuple[str, str | None]], name: str) -> bool:
    return any(n.lower() == name.lower() for n, _ in headers)


def _body(
    arguments: argparse.Namespace,
    keywords: dict[str, Any],
    headers: list[tuple[str, str | None]],
    files: ExitStack,
) -> str | None:
    """Puts the body into `keywords`; the method it stands for."""
    kinds = {
        "-d": arguments.data,
        "--json": arguments.json is not None,
        "-F": arguments.form,
        "-T": arguments.upload_file,
    }
    given = [flag for flag, there in kinds.items() if there]
    if len(given) > 1:
        raise CommandError(f"{' and '.join(given)} do not go together")
    if not given:
        return None
    if given == ["-F"]:
        keywords["files"] = [_part(text, files) for text in arguments.form]
        return "POST"
    if given == ["-T"]:
        file = files.enter_context(open(arguments.upload_file, "rb"))
        keywords["content"] = file
        return "PUT"
    if given == ["--json"]:
        keywords["content"] = _text_or_file(arguments.json, keep=True)
        implied = [("Content-Type", _JSON), ("Accept", _JSON)]
    else:
        keywords["content"] = _form(arguments.data)
        implied = [("Content-Type", _FORM)]
    headers += [(n, v) for n, v in implied if not _says(headers, n)]
    return "POST"


def _form(data: list[tuple[str, str]]) -> bytes:
    return b"&".join(_piece(how, text) for how, text in data)


def _piece(how: str, text: str) -> bytes:
    if how == "--data-raw":
        return os.fsencode(text)
    return _text_or_file(text, keep=how == "--data-binary")


def _text_or_file(text: str, keep: bool) -> bytes:
    """What is meant by DATA; `keep` the line ends of a file."""
    if not text.startswith("@"):
        return os.fsencode(text)
    data = _read(text[1:])
    return data if keep else data.translate(None, b"\r\n\0")


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    with open(path, "rb") as file:
        return file.read()


def _part(text: str, files: ExitStack) -> tuple[str, Any]:
    """An entry of files= for NAME=CONTENT."""
    name, equals, rest = text.partition("=")
    if not equals:
        raise CommandError("-F takes NAME=VALUE, NAME=@FILE or NAME=<FILE")
    if rest[:1] not in ("@", "<"):
        return name, (None, os.fsencode(rest))
    path, *notes = rest[1:].split(";")
    said = dict(note.strip().partition("=")[::2] for note in notes)
    if unknown := set(said) - {"type", "filename"}:
        raise CommandError(f"-F knows type= and filename=, not {min(unknown)}")
    kind = said.get("type")
    if rest[0] == "<":
        return name, (None, _read(path), *([kind] if kind else []))
    shown = said.get("filename", os.path.basename(path))
    file = sys.stdin.buffer
    if path != "-":
        file = files.enter_context(open(path, "rb"))
    return name, (shown, file, *([kind] if kind else []))


def _auth(arguments: argparse.Namespace) -> Any:
    user, colon, password = arguments.user.partition(":")
    if not colon:
        from getpass import getpass

        password = getpass(f"password of {user}: ")
    if arguments.digest:
        from ..policy.digest import DigestAuth

        return DigestAuth(user, password)
    return user, password
