"""niquests: a Session. It brings a package that takes urllib3's place, so it
lives in an environment of its own (see ../README.rst)."""

import niquests

from benchmarks.peers import Task, Turn, contents


def session_of(task: Task) -> niquests.Session:
    session = niquests.Session(disable_http2=True, disable_http3=True)
    session.verify = task.ca or True
    return session


@contents
def kept(task: Task) -> Turn:
    session, url = session_of(task), task.url
    return lambda: session.get(url).content or b""
