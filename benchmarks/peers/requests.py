"""requests: a Session, and its module-level get."""

from collections.abc import Callable, Iterator

import requests

from benchmarks.peers import (
    MANY,
    PIECE,
    Take,
    Task,
    Turn,
    contents,
    lines,
    opens,
    pieces,
    shared,
    upload_of,
)


def session_of(task: Task) -> requests.Session:
    session = requests.Session()
    session.verify = task.ca or True
    return session


@contents
def kept(task: Task) -> Turn:
    session, url = session_of(task), task.url
    return lambda: session.get(url).content


@contents
def call(task: Task) -> Turn:
    url, verify = task.url, task.ca or True
    return lambda: requests.get(url, verify=verify).content


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    session, url = session_of(task), task.url

    def turn(take: Take) -> None:
        with session.get(url, stream=True) as response:
            for piece in response.iter_content(PIECE):
                take(piece)

    return turn


@lines
def iter_lines(task: Task) -> Callable[[], Iterator[bytes]]:
    session, url = session_of(task), task.url
    return lambda: session.get(url, stream=True).iter_lines()


@contents
def connect(task: Task) -> Turn:
    session, url = session_of(task), task.url
    session.headers["Connection"] = "close"
    return lambda: session.get(url).content


@contents
def anew(task: Task) -> Turn:
    def turn() -> bytes:
        with session_of(task) as session:
            return session.get(task.url).content

    return turn


@contents
def client(task: Task) -> Turn:
    def turn() -> bytes:
        requests.Session().close()
        return b""

    return turn


@shared
def threads(task: Task) -> Turn:
    session, url = session_of(task), task.url
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=task.count)
    session.mount("http://", adapter)
    return lambda: session.get(url).content


@contents
def post(task: Task) -> Turn:
    session, url, data = session_of(task), task.url, upload_of(task)
    return lambda: session.post(url, data=data).content


@contents
def post_file(task: Task) -> Turn:
    session = session_of(task)

    def turn() -> bytes:
        with open(task.upload, "rb") as file:
            return session.post(task.url, data=file).content

    return turn


decoded = kept  # it decodes by itself


@opens
def idle(task: Task) -> Callable[[int], None]:
    session, url = session_of(task), task.url
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=MANY)
    session.mount("http://", adapter)
    session.mount("https://", adapter)

    def open_idle(n: int) -> None:
        asked = [session.get(url, stream=True) for _ in range(n)]
        for response in asked:
            response.content  # noqa: B018

    return open_idle
