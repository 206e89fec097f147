"""What test_memory.py runs in a process of its own: every kind of use, with
memory that runs out, or many times over to see what grows.

usage: memory_program.py once|nomemory|blocks URL
"""

import gc
import io
import re
import sys
import traceback
import warnings

import hpool
from hpool import errors

url = sys.argv[2]
client = hpool.Client(timeout=20, retries=0)
SOON = hpool.Timeout(20, read=0.01)
BODY = b"0123456789" * 200


def content():
    return client.get(url + "/ok").content == BODY


def module():
    with hpool.Client() as short:
        return short.get(url + "/ok").ok


def headers():
    response = client.get(url + "/ok", headers={"X-A": "b"}, params={"q": "ä b"})
    h = response.headers
    return (h["content-length"], h.get("no"), "ETag" in h, len(list(h.items()))) == (
        "2000", None, True, 2
    )  # fmt: skip


def text():
    response = client.get(url + "/json")
    return response.json() == {"a": [1, "é"]} and "é" in response.text


def streamed():
    with client.get(url + "/chunked", stream=True) as response:
        return b"".join(response.iter_bytes(7)) == BODY


def dropped():
    client.get(url + "/chunked", stream=True)
    return True


def posted():
    file = io.BytesIO(BODY)
    return client.post(url + "/ok", data=file).content == BODY


def form():
    files = {"f": ("n.txt", io.BytesIO(BODY))}
    return client.post(url + "/ok", data={"a": "b"}, files=files).ok


def redirected():
    return client.get(url + "/redirect").history[0].status_code == 302


def traced():
    seen = []
    with hpool.Client(trace=lambda event, info: seen.append(event)) as short:
        return short.get(url + "/ok").ok and "got_conn" in seen


def fails(error, call):
    """Whether it raises just that, and says something."""
    try:
        call()
    except error as e:
        return bool(str(e)) and e.request is not None
    return False


def _status():
    client.get(url + "/404").raise_for_status()


ERRORS = {
    "status": (errors.HTTPStatusError, _status),
    "timeout": (errors.ReadTimeout, lambda: client.get(url + "/hang", timeout=SOON)),
    "disconnected": (errors.ServerDisconnected, lambda: client.get(url + "/bye")),
    "protocol": (errors.RemoteProtocolError, lambda: client.get(url + "/bad")),
    "incomplete": (errors.IncompleteRead, lambda: client.get(url + "/half").content),
    "chunked": (errors.ProtocolError, lambda: client.get(url + "/badchunk").content),
    "decoding": (errors.DecodingError, lambda: client.get(url + "/notgzip").content),
    "refused": (errors.ConnectError, lambda: client.get("http://127.0.0.1:1/")),
    "resolve": (errors.ConnectError, lambda: client.get("http://x.invalid/")),
    "redirects": (errors.TooManyRedirects, lambda: client.get(url + "/round")),
}


def refused_arguments():
    """Those that are refused before there is a request."""
    for error, call in (
        (ValueError, lambda: client.get("nothing")),
        (ValueError, lambda: client.get(url, headers={"a\n": "b"})),
        (TypeError, lambda: client.get(url, headers={1: 2})),
        (TypeError, lambda: client.get(url, timeout="soon")),
    ):
        try:
            call()
        except error:
            continue
        return False
    return True


USES = {
    f.__name__: f
    for f in (content, module, headers, text, streamed, dropped, posted, form,
              redirected, traced, refused_arguments)
}  # fmt: skip
USES |= {
    name: (lambda error=error, call=call: fails(error, call))
    for name, (error, call) in ERRORS.items()
}


# ---- once ----


def once():
    for name, use in USES.items():
        assert use(), name


# ---- memory runs out ----

# Waits for the machine's resolver each time.
SKIPPED = {"resolve"}


def is_cpythons_own(error):
    """A `raise` in Python code that there is no memory for becomes a SystemError in
    CPython 3.11. It names a Python function, or none and comes where one was called;
    ours would be where a method in C was."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = re.search(r"\b(client|short|_core)\.", last.line)
    return "<function " in str(error) or not ours


def goes_without(use, n):
    """Uses it while the n-th allocation of the interpreter fails. Whether that was
    missed."""
    _testcapi.set_nomemory(n, n + 1)
    try:
        use()
    except MemoryError:
        return True
    except SystemError as e:
        _testcapi.remove_mem_hooks()
        if not is_cpythons_own(e):
            raise
        return True
    except Exception as e:
        return isinstance(e.__cause__ or e.__context__, MemoryError)
    finally:
        _testcapi.remove_mem_hooks()
    return False


def samples():
    """All of the first, then ever fewer."""
    n = 0
    while n < 2000:
        yield n
        n += 1 + n // 12


def nomemory():
    sys.unraisablehook = lambda _: None  # also what a destructor had no memory for
    for name, use in USES.items():
        if name in SKIPPED:
            continue
        use()
        missed = sum(goes_without(use, n) for n in samples())
        assert missed, name
        assert use(), name
        print(name, missed)


# ---- what grows ----

ROUNDS, TRIES = 100, 20


def grows(use, rounds):
    """By how much the interpreter's blocks, its objects and our open responses are
    more after so many rounds."""
    before = counts()
    for _ in range(rounds):
        use()
    return [b - a for a, b in zip(before, counts(), strict=True)]


def counts():
    gc.collect()
    return sys.getallocatedblocks(), len(gc.get_objects()), len(client.leaks(0))


def blocks():
    gc.disable()
    for name, use in USES.items():
        rounds = 20 if name in SKIPPED else ROUNDS
        # Caches fill up and then stay; a leak is there each time.
        grown = []
        while not (grown and all(n < rounds // 2 for n in grown[-1])):
            assert len(grown) < TRIES, (name, grown)
            grown.append(grows(use, rounds))
        assert client.stats().total.in_use == 0, name


if sys.argv[1] == "nomemory":
    import _testcapi

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    {"once": once, "nomemory": nomemory, "blocks": blocks}[sys.argv[1]]()
client.close()
