"""requests: a Session, and its module-level get."""

import requests

from benchmarks.peers import Task, Turn, contents


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
