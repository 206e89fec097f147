"""The cascading connection leak: an API gateway makes 100 requests a second to a
backend, keeps at most two idle connections, and does not close error responses.

Twenty requests run at once, so that eighteen connections of each burst are thrown
away and made anew; and each error keeps one for good. An hour of the case is a
second and a half here. The pool itself tells both faults, by line and by setting.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from backend import Backend

import hpool

AT_ONCE = 20  # five bursts a second: 100 requests
BURST = 0.2  # seconds
BURSTS = 8  # an hour
ERRORS = 10  # one in ten


class Gateway:
    """As it was."""

    limits = hpool.Limits(max_idle_conns_per_host=2)

    def __init__(self, backend):
        self.url = backend.url
        self.client = hpool.Client(limits=self.limits, leak_warnings="trace")
        self.errors = []  # for a report, some day

    def handle(self, number):
        path = "/error" if number % ERRORS == 0 else "/fine"
        return self.fetch(f"{self.url}{path}/{number}")

    def fetch(self, url):
        response = self.client.get(url)
        if response.is_error:
            self.errors.append(response)
            return None
        return response.json()


class FixedGateway(Gateway):
    """Room for as many as run at once, a limit, and every response closed."""

    limits = hpool.Limits(max_idle_conns_per_host=50, max_conns_per_host=100)

    def fetch(self, url):
        with self.client.get(url) as response:
            if response.is_error:
                self.errors.append((url, response.status_code))
                return None
            return response.json()


def hour(gateway, threads):
    numbers = iter(range(BURSTS * AT_ONCE))
    begin = time.monotonic()
    for burst in range(1, BURSTS + 1):
        list(threads.map(gateway.handle, [next(numbers) for _ in range(AT_ONCE)]))
        time.sleep(max(0.0, begin + burst * BURST - time.monotonic()))


def load(gateway, threads, hours):
    """A table of what each hour has added, and what is held at its end."""
    print("          requests  new connections  reused  open now  held by responses")
    before = gateway.client.stats().total
    for number in range(1, hours + 1):
        hour(gateway, threads)
        now = gateway.client.stats().total
        print(
            f"  hour {number}  {now.requests - before.requests:>8}"
            f"  {now.dials - before.dials:>15}  {now.reuses - before.reuses:>6}"
            f"  {now.open:>8}  {now.in_use:>17}"
        )
        before = now


def diagnose(client):
    leaks = Counter((leak.line, leak.phase) for leak in client.leaks(older_than=1))
    print("  client.leaks():", "" if leaks else "nothing")
    for (line, phase), n in leaks.items():
        print(f"    {n} responses, {phase}, made at {line}")
    advice = client.advise()
    print("  client.advise():", "" if advice else "nothing")
    for one in advice:
        print(f"    {one}")


def study(title, gateway, threads, hours):
    print(f"{title}:")
    with gateway.client as client:
        load(gateway, threads, hours)
        diagnose(client)


with Backend(delay=0.02) as backend, ThreadPoolExecutor(AT_ONCE) as threads:
    study("as it was", Gateway(backend), threads, hours=4)
    study("fixed", FixedGateway(backend), threads, hours=1)
