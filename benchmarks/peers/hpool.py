"""hpool, the way its README shows it."""

import hpool

from benchmarks.peers import Task, Turn, contents


def client_of(task: Task) -> hpool.Client:
    return hpool.Client(verify=task.ca or True)


@contents
def kept(task: Task) -> Turn:
    client, url = client_of(task), task.url

    def turn() -> bytes:
        with client.get(url) as response:
            return response.content

    return turn


@contents
def call(task: Task) -> Turn:
    url = task.url
    if task.ca:
        hpool.configure(verify=task.ca)
    return lambda: hpool.get(url).content
