"""niquests: a Session. It brings a package that takes urllib3's place, so it
lives in an environment of its own (see ../README.rst)."""

from collections.abc import Callable

import niquests

from benchmarks.peers import PIECE, Take, Task, Turn, contents, pieces


def session_of(task: Task) -> niquests.Session:
    session = niquests.Session(disable_http2=True, disable_http3=True)
    session.verify = task.ca or True
    return session


@contents
def kept(task: Task) -> Turn:
    session, url = session_of(task), task.url
    return lambda: session.get(url).content or b""


@pieces
def chunks(task: Task) -> Callable[[Take], None]:
    session, url = session_of(task), task.url

    def turn(take: Take) -> None:
        with session.get(url, stream=True) as response:
            for piece in response.iter_content(PIECE):
                take(piece)

    return turn
