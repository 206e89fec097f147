"""What requests-toolbelt offers, used as its documentation has it. With "hpool"
as the first argument hpool stands where the toolbelt imports requests; the
second one is the URL of a server that echoes. Prints what came back as JSON."""

import importlib
import io
import json
import ssl
import sys
import tempfile
import warnings

library, url = sys.argv[1:]
requests = importlib.import_module(library)
if library == "hpool":
    sys.modules["requests"] = requests
    for name in requests._ON_DEMAND:
        module = importlib.import_module(f"hpool.{name}")
        sys.modules[f"requests.{name}"] = module
    sys.modules["requests.exceptions"] = requests.exceptions

warnings.simplefilter("ignore")

import requests_toolbelt as toolbelt  # noqa: E402
from requests_toolbelt import sessions, threaded  # noqa: E402
from requests_toolbelt.adapters import socket_options, source  # noqa: E402
from requests_toolbelt.auth import guess, handler  # noqa: E402
from requests_toolbelt.cookies import forgetful  # noqa: E402
from requests_toolbelt.downloadutils import stream, tee  # noqa: E402
from requests_toolbelt.utils import user_agent  # noqa: E402

seen = {}


def program(function):
    seen[function.__name__] = list(function())


@program
def base_url():
    session = sessions.BaseUrlSession(base_url=url + "/v1/")
    yield session.get("a", params={"b": "c"}).json()["target"]
    yield session.post("/d", json={}).json()["target"]
    request = requests.Request("GET", "e")
    yield session.send(session.prepare_request(request)).json()["target"]


@program
def forgetful_cookies():
    session = requests.Session()
    session.cookies = forgetful.ForgetfulCookieJar()
    session.get(url + "/cookies/set")
    yield session.get(url).json()["cookie"], len(session.cookies)


@program
def guessed_auth():
    session = requests.Session()
    session.auth = guess.GuessAuth("user", "pass")
    yield session.get(url + "/authorized").status_code


@program
def auth_by_host():
    session = requests.Session()
    session.auth = handler.AuthHandler({url: ("user", "pass")})
    yield session.get(url + "/with").json()["method"]


@program
def adapters():
    session = requests.Session()
    session.mount("http://", source.SourceAddressAdapter("127.0.0.3"))
    yield session.get(url).json()["method"]
    session.mount("http://", socket_options.TCPKeepAliveAdapter(idle=20))
    yield session.get(url).json()["method"]
    session.mount("https://", toolbelt.SSLAdapter(ssl.PROTOCOL_TLSv1_2))
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=1))
    yield sorted(session.adapters)


@program
def multipart():
    fields = {"a": "b", "f": ("n.txt", io.BytesIO(b"content"), "text/plain")}
    encoder = toolbelt.MultipartEncoder(fields=fields, boundary="border")
    headers = {"Content-Type": encoder.content_type}
    yield requests.post(url, data=encoder, headers=headers).json()["body"]
    told = []
    monitor = toolbelt.MultipartEncoderMonitor.from_fields(
        {"a": "b"}, "border", callback=lambda m: told.append(m.bytes_read)
    )
    headers = {"Content-Type": monitor.content_type}
    yield requests.post(url, data=monitor, headers=headers).json()["body"]
    yield told[-1] == monitor.len


@program
def streamed_upload():
    iterator = toolbelt.StreamingIterator(6, iter([b"abc", b"def"]))
    yield requests.post(url, data=iterator).json()["body"]


@program
def downloads():
    with tempfile.TemporaryDirectory() as folder:
        response = requests.get(url + "/bytes", stream=True)
        path = stream.stream_response_to_file(response, path=folder + "/x")
        with open(path, "rb") as file:
            yield len(file.read())
    target = io.BytesIO()
    response = requests.get(url + "/gzip", stream=True)
    for _ in tee.tee(response, target):
        pass
    yield target.getvalue().hex()


@program
def many_threads():
    answers, errors = threaded.map([{"method": "GET", "url": url}] * 5)
    yield [a.response.json()["method"] for a in answers], list(errors)


@program
def agent():
    made = user_agent.user_agent("me", "1")
    yield requests.get(url, headers={"User-Agent": made}).ok


print(json.dumps(seen))
