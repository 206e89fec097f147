"""curl's letters for `python -m hpool get`: the arguments, and the request that
they stand for."""

from __future__ import annotations

import argparse
import os
import sys

from . import CommandError, form
from .load_options import amount_type, count_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import Any

    from .. import PreparedRequest, Retries

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "-X",
        "--request",
        metavar="METHOD",
        help="instead of GET or POST, and after redirects, too",
    )
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
        "--json",
        metavar="DATA",
        action="append",
        default=[],
        help="JSON, with its headers; @FILE reads it; several are put together",
    )
    group.add_argument(
        "-F",
        "--form",
        metavar="NAME=CONTENT",
        action="append",
        default=[],
        help="multipart: value, @FILE (uploaded) or <FILE (read); ;type= and "
        ";filename= may follow; a value with a ; in double quotes",
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
    add("-U", "--proxy-user", metavar="NAME:PASSWORD", help="as -u, for -x")
    add("--proxy-digest", action="store_true", help="-U by digest")
    add("--unix-socket", metavar="PATH", help="connect there")
    add(
        "--retry",
        metavar="N",
        type=count_type(0),
        default=0,
        help="try again so often after timeouts, lost connections and "
        "the statuses 408, 429, 500, 502, 503 and 504",
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
        settings["proxy"] = _proxy(arguments)
    elif arguments.proxy_user is not None:
        raise CommandError("-U needs -x")
    limits = {}
    if arguments.max_time:
        limits["total"] = arguments.max_time
    if arguments.connect_timeout:
        limits["connect"] = limits["tls"] = arguments.connect_timeout
    if limits:
        settings["timeout"] = hpool.Timeout(**limits)
    return settings


def _proxy(arguments: argparse.Namespace) -> Any:
    from .. import Proxy

    user, digest = arguments.proxy_user, arguments.proxy_digest
    if user is not None:
        return Proxy(arguments.proxy, auth=_login(user, digest))
    if digest:
        raise CommandError("--proxy-digest needs -U NAME:PASSWORD")
    return arguments.proxy


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
        keywords["auth"] = _login(arguments.user, arguments.digest)
    if arguments.max_redirs is not None:
        keywords["max_redirects"] = arguments.max_redirs
    if arguments.request:
        keywords["check_redirect"] = _keep_method
    if arguments.retry:
        keywords["retries"] = _retries(arguments.retry)
        keywords["trace"] = None if arguments.silent else _tell_retry
    keywords["headers"] = headers
    method = arguments.request or ("HEAD" if arguments.head else sent or "GET")
    return method, url, keywords


def _keep_method(request: PreparedRequest, history: list[Any]) -> None:
    request.method = history[0].request.method


# Those that may pass, says curl.
_PASSING = (408, 429, 500, 502, 503, 504)


def _retries(count: int) -> Retries:
    """As curl: any method, waits that double from one second to ten minutes,
    here after a first one without a wait."""
    from .. import Retries

    return Retries(
        count,
        status_forcelist=_PASSING,
        allowed_methods=None,
        backoff_factor=0.5,
        backoff_max=600,
        jitter=0,
        budget=None,
    )


def _tell_retry(event: str, info: dict[str, Any]) -> None:
    if event == "retry" and "wait" in info:
        wait = f" in {info['wait']:.0f} s" if info["wait"] else ""
        print(f"hpool: trying again{wait}", file=sys.stderr, flush=True)


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
        "--json": arguments.json,
        "-F": arguments.form,
        "-T": arguments.upload_file,
    }
    given = [flag for flag, there in kinds.items() if there]
    if len(given) > 1:
        raise CommandError(f"{' and '.join(given)} do not go together")
    if not given:
        return None
    if given == ["-F"]:
        keywords["files"] = [form.part(text, files) for text in arguments.form]
        return "POST"
    if given == ["-T"]:
        keywords["content"] = form.opened(arguments.upload_file, files)
        return "PUT"
    if given == ["--json"]:
        pieces = [_text_or_file(text, keep=True) for text in arguments.json]
        keywords["content"] = b"".join(pieces)
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
    data = form.read(text[1:])
    return data if keep else data.translate(None, b"\r\n\0")


def _login(text: str, digest: bool) -> Any:
    """What auth= takes, of NAME:PASSWORD."""
    user, colon, password = text.partition(":")
    if not colon:
        from getpass import getpass

        password = getpass(f"password of {user}: ")
    if digest:
        from ..policy.digest import DigestAuth

        return DigestAuth(user, password)
    return user, password
