"""curl_cffi: a Session. It impersonates no browser, which would cost time and
another kind of request."""

from collections.abc import Callable
from typing import Any

from curl_cffi import CurlHttpVersion, requests

from benchmarks.peers import Take, Task, Turn, contents, pieces


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
