"""For programs: a real SIGINT in the middle of a call, how long it takes to become
KeyboardInterrupt, and what is left afterwards."""

import os
import signal
import statistics
import threading
import time

from tests.tools import gauges, until

TRIES = 5
LIMIT = 0.060  # seconds from kill() to KeyboardInterrupt
NOTHING = (0, 0, 0, 0, 0)

reached = threading.Event()  # for calls to set: what comes now is meant


def thread_is_asleep(native_id):
    """Whether that thread is in a system call that waits."""
    path = f"/proc/self/task/{native_id}/stat"
    if not os.path.exists(path):
        return True  # no Linux: then the signal comes a little before
    with open(path) as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


def descriptors():
    return len(os.listdir("/dev/fd"))


def kill():
    os.kill(os.getpid(), signal.SIGINT)


def interrupted(call, when, kill=kill, busy=False):
    """Calls in the main thread; when the condition holds and the thread waits (but
    if it is to be busy), sends SIGINT. How long it took from there to
    KeyboardInterrupt."""
    sent = []
    reached.clear()

    def send():
        until(lambda: when() and (busy or thread_is_asleep(os.getpid())))
        sent.append(time.monotonic())
        kill()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        call()
    except KeyboardInterrupt:
        took = time.monotonic() - sent[0]
    else:
        raise AssertionError("no KeyboardInterrupt")
    finally:
        sender.join()
    return took


def measure(client, call, when, left=NOTHING, kill=kill, busy=False):
    """Interrupts the call some times. The median is within the limit, and each
    time the pool's gauges become `left` and the descriptors are back."""
    took, opened = [], []
    for _ in range(TRIES):
        took.append(interrupted(call, when, kill, busy))
        until(lambda: gauges(client) == left)
        opened.append(descriptors())  # the first call made a waker, perhaps a keeper
        until(lambda: descriptors() <= opened[0])
    assert statistics.median(took) <= LIMIT, took
