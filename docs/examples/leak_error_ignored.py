"""A leak: an error is noted, and its response is not thought of again.

An error has a body as well, and often a long one. A table of the last answers,
a cache, a retry queue: whatever keeps the response for its status keeps the
connection, too.
"""

from backend import Backend, show_leaks

import hpool

SERVICES = ("/fine/users", "/error/orders", "/fine/stock", "/error/mail")


def look_leaking(client, url):
    return client.get(url)  # for its status; the body is nobody's business


def look(client, url):
    with client.get(url) as response:
        response.read()  # a small price for a connection that can be used again
    return response


def run(client, look, url):
    """Twice over all services; the table has the last answer of each."""
    table = {}
    for _ in range(2):
        for service in SERVICES:
            table[service] = look(client, url + service)
    down = [service for service, answer in table.items() if answer.is_error]
    print(f"  down: {', '.join(down)}")
    show_leaks(client)


with Backend() as backend:
    print("kept for the status alone:")
    with hpool.Client(leak_warnings="trace") as client:
        run(client, look_leaking, backend.url)
    print("read, then kept:")
    with hpool.Client(leak_warnings="trace") as client:
        run(client, look, backend.url)
