"""What hold.py asks: adapter:factory, or adapter:patient for halved mode."""

import time

import hpool


class Adapter:
    def __init__(self):
        self.client = hpool.Client(
            timeout=hpool.Timeout(total=2.0),
            decompress=False,
            follow_redirects=False,
        )

    def fetch(self, method, url, body):
        with self.client.request(method, url, data=body) as response:
            fields = response.headers.raw
            pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in fields]
            return response.status_code, pairs, response.read()

    def close(self):
        self.client.close()


def factory():
    return Adapter()


class Patient(Adapter):
    """Comes back only after hold.py has sent the second half (20 ms later), so
    that bytes beyond a message meet an idle connection, not the next request.
    There is no event to wait for: what is awaited must not be looked at."""

    def fetch(self, method, url, body):
        answer = super().fetch(method, url, body)
        time.sleep(0.03)
        return answer


def patient():
    return Patient()
