"""A leak: a body read in part, and never closed.

A generator that reads a body holds the connection while it is paused. Who takes
what he needs from it and keeps it, or keeps the response to go on later, stops
half way and holds on.
"""

from backend import Backend, show_leaks

import hpool


def lines(client, url):
    response = client.get(url)
    yield from response.iter_lines()


def first_line_leaking(client, url, readers):
    reader = lines(client, url)
    readers[url] = reader  # to go on from here, one day
    return next(reader)


def first_line(client, url, readers):
    with client.get(url) as response:
        return next(response.iter_lines())


def run(client, first_line, url):
    readers = {}
    for feed in ("/feed/a", "/feed/b", "/feed/c"):
        seen = first_line(client, url + feed, readers)
    print(f"  the last one begins with {bytes(seen)!r}")
    show_leaks(client)


with Backend() as backend:
    print("paused in the middle of the body:")
    with hpool.Client(leak_warnings="trace") as client:
        run(client, first_line_leaking, backend.url)
    print("closed when there is enough:")
    with hpool.Client(leak_warnings="trace") as client:
        run(client, first_line, backend.url)
