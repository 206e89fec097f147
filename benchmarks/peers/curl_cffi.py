"""curl_cffi: a Session. It impersonates no browser, which would cost time and
another kind of request."""

from collections.abc import Callable
from typing import Any

from curl_cffi import CurlHttpVersion, CurlOpt, requests

from benchmarks.peers import Take, Task, Turn, contents, pieces, upload_of


def session_of(task: Task) -> Any:
    trust: Any = task.ca or True  # a file is taken, though not declared
    return requests.Session(verify=trust, http_version=CurlHttpVersion.V1_1)


@contents
def kept(task: Task) -> Turn:
    session, url = session_of(task), task.url
    return lambda: session.get(url).content


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    session, url = session_of(task), task.url

    def turn(take: Take) -> None:
        session.get(url, content_callback=take)

    return turn


@contents
def connect(task: Task) -> Turn:
    session, url = session_of(task), task.url
    session.curl_options = {CurlOpt.FORBID_REUSE: 1, CurlOpt.SSL_SESSIONID_CACHE: 0}
    return lambda: session.get(url).content


@contents
def anew(task: Task) -> Turn:
    def turn() -> Any:
        with session_of(task) as session:
            return session.get(task.url).content

    return turn


@contents
def client(task: Task) -> Turn:
    def turn() -> bytes:
        requests.Session().close()
        return b""

    return turn


@contents
def post(task: Task) -> Turn:
    session, url, data = session_of(task), task.url, upload_of(task)
    return lambda: session.post(url, data=data).content


decoded = kept  # it decodes by itself
