"""http.client: one connection."""

import http.client
import ssl
from urllib.parse import urlsplit

from benchmarks.peers import Task, Turn, contents


def connection_of(task: Task) -> http.client.HTTPConnection:
    url = urlsplit(task.url)
    assert url.hostname
    if not task.ca:
        return http.client.HTTPConnection(url.hostname, url.port)
    context = ssl.create_default_context(cafile=task.ca)
    return http.client.HTTPSConnection(url.hostname, url.port, context=context)


@contents
def kept(task: Task) -> Turn:
    connection, path = connection_of(task), urlsplit(task.url).path

    def turn() -> bytes:
        connection.request("GET", path)
        return connection.getresponse().read()

    return turn
