"""requests: a Session, and its module-level get."""

from collections.abc import Callable, Iterator

import requests

from benchmarks.peers import PIECE, Take, Task, Turn, contents, lines, pieces


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
