"""What the examples share: a small server, and a look at client.leaks()."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Too much to arrive together with the head: somebody has to read it.
ERROR_PAGE = b"<h1>Something went wrong</h1>\n" * 1000
FEED = b"".join(b"line %d of the feed\n" % n for n in range(5000))


class Answer(BaseHTTPRequestHandler):
    """/error is a 500 with a long page, /feed is long and all right, whatever
    else there is takes `delay` seconds and is short."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        if self.path.startswith("/error"):
            self.answer(500, ERROR_PAGE)
        elif self.path.startswith("/feed"):
            self.answer(200, FEED)
        else:
            time.sleep(self.server.delay)
            self.answer(200, b'{"fine": true}')

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused):
        pass


class Backend(ThreadingHTTPServer):
    """with Backend() as backend: ... backend.url ..."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, delay=0.0):
        super().__init__(("127.0.0.1", 0), Answer)
        self.delay = delay
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *exception):
        self.shutdown()
        super().__exit__(*exception)

    def handle_error(self, request, client_address):
        """A client that goes away before the end is no news here."""


def show_leaks(client):
    """Who holds a connection, and which line made the request."""
    leaks = client.leaks(older_than=0)
    for leak in leaks:
        print(f"  {leak}")
    if not leaks:
        print("  no response holds a connection")
