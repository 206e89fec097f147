"""A leak: leaving early, before the body is read or the response closed.

In Python an exception keeps the frames it passed through, and a frame keeps its
variables. Who keeps the exception, for a report, a retry or a log, keeps the
response with it, and the response keeps its connection.
"""

from backend import Backend, show_leaks

import hpool


class BadStatus(Exception):
    pass


def fetch_leaking(client, url):
    response = client.get(url)
    if response.status_code != 200:
        raise BadStatus(f"{url} answered {response.status_code}")  # and never closed
    with response:
        return response.json()


def fetch(client, url):
    with client.get(url) as response:  # first of all
        if response.status_code != 200:
            raise BadStatus(f"{url} answered {response.status_code}")
        return response.json()


def run(client, fetch, url):
    """Five requests; the failures are kept for a report at the end."""
    failures = []
    for path in ("/fine", "/error", "/error", "/fine", "/error"):
        try:
            fetch(client, url + path)
        except BadStatus as failure:
            failures.append(failure)
    show_leaks(client)
    print(f"  {len(failures)} failures to report")


with Backend() as backend:
    print("leaving before the response is closed:")
    with hpool.Client(leak_warnings="trace") as client:
        run(client, fetch_leaking, backend.url)
    print("within `with`, whatever happens:")
    with hpool.Client(leak_warnings="trace") as client:
        run(client, fetch, backend.url)
