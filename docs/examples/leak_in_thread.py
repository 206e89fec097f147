"""A leak: a response that is forgotten in a thread.

A thread that waits for something that does not come holds all that its stack
holds. Nobody sees the response there, and the thread never ends to drop it.
"""

import queue
import threading

from backend import Backend, show_leaks

import hpool


def work_leaking(client, url, ready, permits):
    response = client.get(url)
    ready.put(response.status_code)
    permits.get()  # may we have the body? Nobody ever says
    response.read()


def work(client, url, ready, permits):
    with client.get(url) as response:
        body = response.read()  # first the network, then whoever has time
    ready.put(response.status_code)
    permits.get()
    return body


def run(client, work, url):
    """Three threads, and a boss who looks at the answers and goes."""
    ready, permits = queue.Queue(), queue.Queue()
    arguments = (client, f"{url}/feed", ready, permits)
    threads = [threading.Thread(target=work, args=arguments) for _ in range(3)]
    for thread in threads:
        thread.start()
    print(f"  answers: {[ready.get() for _ in threads]}")
    show_leaks(client)
    for thread in threads:  # so that the example can end
        permits.put(True)
    for thread in threads:
        thread.join()


with Backend() as backend:
    print("waiting with the response in hand:")
    with hpool.Client(leak_warnings="trace") as client:
        run(client, work_leaking, backend.url)
    print("waiting with the body in hand:")
    with hpool.Client(leak_warnings="trace") as client:
        run(client, work, backend.url)
