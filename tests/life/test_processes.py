"""The ways in which programs come to have several processes: each has connections
of its own, and none is left behind in a program that was started."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.life.child import environment, finish, run, start
from tests.server.scripted import respond, serve
from tests.tools import Call, Clogged, until

OK = respond(b"ok")

COMMON = """
import os, subprocess, sys, threading
import hpool

url = sys.argv[1]
client = hpool.Client(timeout=10, limits=hpool.Limits(max_conns_per_host=2))

def ask(path):
    with client.get(url + path) as response:
        return response.read().decode()
"""


def by_connection(s):
    return [[r.target for r in c.requests] for c in s.connections]


@pytest.fixture
def script(tmp_path):
    """script(text): the path of a file with the program, for those that are to be
    imported by others."""

    def write(text):
        path = tmp_path / "program.py"
        path.write_text(text)
        return path

    return write


# ---- workers -----------------------------------------------------------------

WORKERS = """
import concurrent.futures, multiprocessing

def in_worker(n):
    return ask("/worker")

def with_client(given):
    with given.get("/given") as response:  # base_url came along
        return response.read()

if __name__ == "__main__":
    assert ask("/main") == "ok"
    context = multiprocessing.get_context(sys.argv[2])
    if sys.argv[3] == "Pool":
        pool = context.Pool(3)
    else:
        pool = concurrent.futures.ProcessPoolExecutor(3, mp_context=context)
    with pool:
        assert list(pool.map(in_worker, range(12))) == ["ok"] * 12
        with hpool.Client(base_url=url) as given:
            assert list(pool.map(with_client, [given])) == [b"ok"]
        if sys.argv[3] == "Pool":
            pool.close()
            pool.join()
    assert ask("/main") == "ok"
"""


@pytest.mark.parametrize("kind", ["Pool", "ProcessPoolExecutor"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers(server, script, method, kind):
    """multiprocessing's and concurrent.futures' workers use the client of the module,
    inherited or made anew, and one that was given to them."""
    s = server([serve(OK)])
    program = script(COMMON + WORKERS)
    if method == "fork":  # the executor's threads are there when it forks
        program = script("import warnings\n" + program.read_text().replace(
            "if __name__", 'warnings.simplefilter("ignore", DeprecationWarning)\nif __name__'
        ))  # fmt: skip
    run(program, s.url, method, kind, seconds=40)
    targets = by_connection(s)
    assert targets[0] == ["/main", "/main"]
    asked = [r.target for r in s.requests]
    assert asked.count("/worker") == 12
    assert asked.count("/given") == 1
    assert all(len(set(of_one)) == 1 for of_one in targets)


THREAD_POOL = """
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert list(pool.map(ask, ["/worker"] * 100)) == ["ok"] * 100
late = concurrent.futures.ThreadPoolExecutor(2)
late.submit(ask, "/late")  # waited for by the interpreter's exit
late.submit(lambda: print(ask("/late"), flush=True))
"""


def test_a_thread_pool(server):
    """Eight threads share two connections; what a pool has not done when the program
    ends is still done."""
    s = server([serve(OK)])
    assert run(COMMON + THREAD_POOL, s.url) == "ok\n"
    assert len(s.connections) == 2
    assert [r.target for r in s.requests].count("/late") == 2


# ---- pre-fork ----------------------------------------------------------------

APP = """
import os
import hpool

url = os.environ["BACKEND"]
client = hpool.Client(timeout=10)

def ask(path):
    with client.get(url + path) as response:
        return response.read()

assert ask("/master") == b"ok"

def app(environ, start_response):
    body = ask(f"/worker/{os.getpid()}{environ['PATH_INFO']}")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture
def gunicorn(tmp_path, server):
    """gunicorn(kind, ...) starts a master that has loaded the application, and used
    its client, before it forks two workers: the process, and its URL."""
    (tmp_path / "hpool_app.py").write_text(APP)
    started = []

    def start(kind, backend):
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "hpool_app:app", "--preload",
             "--workers=2", f"--worker-class={kind}", "--threads=2",
             "--bind=127.0.0.1:0", "--graceful-timeout=10"],
            cwd=tmp_path,
            env=environment({"BACKEND": backend, "HOME": str(tmp_path)}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        started.append(process)
        for line in process.stderr:
            if "Listening at:" in line:
                return process, line.partition("Listening at: ")[2].split()[0]
        raise AssertionError("gunicorn did not start")

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_gunicorn(server, gunicorn, new_client, kind):
    """Pre-fork: the workers go on with the client that the master has used, each on
    connections of its own, and answer what they have begun when they are told to
    stop."""
    stopped = threading.Event()

    def answer(request):
        if request.target.endswith("/slow"):
            assert stopped.wait(10)
        return OK

    s = server([serve(answer)])
    process, url = gunicorn(kind, s.url)
    client = new_client()
    for _ in range(20):
        assert client.get(url + "/", headers={"Connection": "close"}).read() == b"ok"
    slow = Call(lambda: client.get(url + "/slow").read())
    until(lambda: any(r.target.endswith("/slow") for r in s.requests))
    process.send_signal(signal.SIGTERM)
    stopped.set()
    assert slow.result() == b"ok"
    errors = process.communicate(timeout=20)[1]
    assert process.returncode == 0, errors
    assert "Traceback" not in errors, errors
    targets = by_connection(s)
    assert targets[0] == ["/master"]
    workers = [{t.split("/")[2] for t in of_one} for of_one in targets[1:]]
    assert all(len(worker) == 1 for worker in workers)


DAEMON = """
def detach():
    if os.fork():
        os._exit(0)

assert ask("/start") == "ok"
unread = client.get(url + "/start")
done = int(sys.argv[2])
if os.fork():
    os.wait()
    assert unread.read() == b"ok"
    assert ask("/start") == "ok"
    sys.exit()
os.setsid()
detach()
null = os.open(os.devnull, os.O_RDWR)
for fd in range(3):
    os.dup2(null, fd)
assert ask("/daemon") == "ok"
assert ask("/daemon") == "ok"
os.write(done, b"daemon")
"""


def test_a_daemon(server):
    """Two forks, and the first process ends: the daemon goes on with a connection of
    its own."""
    s = server([serve(OK)])
    read, write = os.pipe()
    with open(read, "rb") as done:
        try:
            process = start(COMMON + DAEMON, s.url, write, pass_fds=(write,))
        finally:
            os.close(write)
        assert finish(process) == (0, "", "")
        assert done.read() == b"daemon"  # and then it has ended
    # It was busy while the first process used its own connection to the end.
    assert sorted(by_connection(s)) == [["/daemon"] * 2, ["/start"] * 3]


# ---- other programs ----------------------------------------------------------

# With all there may be: idle, in use, being drained and dialed; TLS; threads that
# have a waker; a keeper with its poller; a key log.
BUSY = """
from tests.tools import Call, gauges, until

client = hpool.Client(timeout=20, limits=hpool.Limits(drain_timeout=20))
held = client.get(url + "/half")
drained = client.get(url + "/half")
ask("/")
drained.close()
dial = Call(client.get, sys.argv[2])
answer = Call(client.get, url + "/hang")
until(lambda: gauges(client) == (0, 2, 1, 1, 0))
assert len(os.listdir("/dev/fd")) > 8
LIST = "import os; print(*os.listdir('/dev/fd'))"
command = [sys.executable, "-c", LIST]
"""

PROGRAMS = {
    "subprocess": "subprocess.run(command, close_fds=False, check=True)",
    "preexec_fn": "subprocess.run(command, close_fds=False, check=True, preexec_fn=int)",
    "system": """os.environ["LIST"] = LIST; os.system(f'"{sys.executable}" -c "$LIST"')""",
    "posix_spawn": "os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)",
    "fork and exec": """
pid = os.fork()
if pid == 0:
    os.execv(command[0], command)
os.waitpid(pid, 0)
""",
    "exec": "os.execv(command[0], command)",
}


def busy_server(connection):
    while (request := connection.request(patient=True)) is not None:
        if request.target == "/hang":
            return connection.until_closed()
        half = respond(b"half", headers={"Content-Length": 100})
        connection.send(half if request.target == "/half" else OK)


@pytest.mark.parametrize("how", PROGRAMS)
def test_other_programs_inherit_nothing(server, ca, tmp_path, how):
    """Whatever way a program is started, none of our descriptors is open in it."""
    s = server(busy_server, tls=ca.server_context())
    program = f"""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads about
{COMMON}{BUSY}{PROGRAMS[how]}
os._exit(0)
"""
    with Clogged() as c:
        c.clog()
        out = run(
            program,
            s.url,
            c.url,
            SSL_CERT_FILE=ca.pem,
            SSLKEYLOGFILE=str(tmp_path / "keys"),
        )
    assert sorted(map(int, out.split())) == [0, 1, 2, 3]  # 3 is the listing's own
