"""niquests: a Session. It brings a package that takes urllib3's place, so it
lives in an environment of its own (see ../README.rst)."""

from collections.abc import Callable

import niquests

from benchmarks.peers import (
    PIECE,
    Take,
    Task,
    Turn,
    contents,
    pieces,
    shared,
    upload_of,
)


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


@contents
def connect(task: Task) -> Turn:
    session, url = session_of(task), task.url
    session.headers["Connection"] = "close"
    return lambda: session.get(url).content or b""


@contents
def anew(task: Task) -> Turn:
    def turn() -> bytes:
        with session_of(task) as session:
            return session.get(task.url).content or b""

    return turn


@contents
def client(task: Task) -> Turn:
    def turn() -> bytes:
        niquests.Session().close()
        return b""

    return turn


@shared
def threads(task: Task) -> Turn:
    session, url = session_of(task), task.url
    adapter = niquests.adapters.HTTPAdapter(pool_maxsize=task.count)
    session.mount("http://", adapter)
    return lambda: session.get(url).content or b""


@contents
def post(task: Task) -> Turn:
    session, url, data = session_of(task), task.url, upload_of(task)
    return lambda: session.post(url, data=data).content or b""


@contents
def post_file(task: Task) -> Turn:
    session = session_of(task)

    def turn() -> bytes:
        with open(task.upload, "rb") as file:
            return session.post(task.url, data=file).content or b""

    return turn


decoded = kept  # it decodes by itself
