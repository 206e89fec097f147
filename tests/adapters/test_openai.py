"""openai handed an httpx.Client: what it says on httpx's own transport, it says
on hpool's."""

import json
import threading

import httpx
import openai
import pytest

from hpool.adapters.httpcore import httpx_client
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    send,
    serve,
    silent_port,
    until_closed,
)
from tests.tools import Call

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hello?"}]}


def as_json(value, status=200, headers=()):
    headers = [("Content-Type", "application/json"), *headers]
    return respond(json.dumps(value).encode(), status, headers)


def completion(text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    return as_json({**answer, "choices": [choice]})


def event(text):
    """One event of a stream, in chunked coding."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    answer = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = b"data: %s\n\n" % json.dumps({**answer, "choices": [choice]}).encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"

# Within a stream: of newer versions, and of older ones.
CUT_OFF = (openai.APIConnectionError, httpx.RemoteProtocolError)
SILENT = (openai.APITimeoutError, httpx.ReadTimeout)


@pytest.fixture(params=["own", "hpool"])
def new_openai(request):
    """new_openai(server's URL, setting=...): a client that tries once."""
    made = []

    def make(url, **settings):
        if request.param == "own":
            http = httpx.Client(trust_env=False)
        else:
            http = httpx_client(httpx, trust_env=False)
        settings = {"max_retries": 0, "timeout": 5, **settings}
        made.append(
            openai.OpenAI(
                api_key="secret", base_url=f"{url}/v1", http_client=http, **settings
            )
        )
        return made[-1]

    yield make
    for client in made:
        client.close()


def texts(stream):
    return [chunk.choices[0].delta.content for chunk in stream]


def test_chat_completion(new_openai, server):
    s = server(serve(completion("hello!")))
    answer = new_openai(s.url).chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "hello!"
    (request,) = s.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.get("Authorization") == "Bearer secret"
    assert request.get("Content-Type") == "application/json"
    assert json.loads(request.body) == ASKED


def test_one_connection_for_all(new_openai, server):
    """For whole answers and errors."""
    failure = as_json({"error": {"message": "no such model"}}, 404)
    s = server(
        [expect(), send(completion("a")), expect(), send(failure)]
        + [expect(), send(completion("c"))]
    )
    create = new_openai(s.url).chat.completions.create
    assert create(**ASKED).choices[0].message.content == "a"
    with pytest.raises(openai.NotFoundError, match="no such model"):
        create(**ASKED)
    assert create(**ASKED).choices[0].message.content == "c"
    assert len(s.connections) == 1


@pytest.mark.parametrize("new_openai", ["hpool"], indirect=True)
def test_a_connection_for_many_streams(new_openai, server):
    """openai reads up to [DONE], and no chunk further: httpx's own transport
    closes the connection then."""
    stream = send(STREAM, event("a"), DONE)
    s = server([expect(), stream, expect(), stream, expect(), stream])
    create = new_openai(s.url).chat.completions.create
    for _ in range(3):
        assert texts(create(**ASKED, stream=True)) == ["a"]
    assert len(s.connections) == 1


def test_a_stream_is_passed_on_as_it_arrives(new_openai, server):
    go = [threading.Event(), threading.Event()]
    s = server(
        [expect(), send(STREAM, event("hel"), go[0], event("lo"), go[1], DONE)],
    )
    stream = new_openai(s.url).chat.completions.create(**ASKED, stream=True)
    assert next(stream).choices[0].delta.content == "hel"
    go[0].set()
    assert next(stream).choices[0].delta.content == "lo"
    go[1].set()
    assert texts(stream) == []


def test_a_stream_that_is_left(new_openai, server):
    """Its connection is not used again, and does not stay."""
    left = [expect(), send(STREAM, event("a")), until_closed()]
    s = server(left, [serve(completion("b"))])
    client = new_openai(s.url)
    with client.chat.completions.create(**ASKED, stream=True) as stream:
        assert next(stream).choices[0].delta.content == "a"
    answer = client.chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "b"
    s.connections[0].wait_closed()


def test_a_stream_that_is_cut_off(new_openai, server):
    s = server([expect(), send(STREAM, event("a")), close()])
    stream = new_openai(s.url).chat.completions.create(**ASKED, stream=True)
    assert next(stream).choices[0].delta.content == "a"
    with pytest.raises(CUT_OFF):
        next(stream)


def test_429_is_tried_again_when_the_server_says(new_openai, server):
    """By openai, and on the same connection."""
    busy = as_json({"error": {"message": "slow down"}}, 429, [("Retry-After", "0.001")])
    s = server([expect(), send(busy), expect(), send(completion("a"))])
    answer = new_openai(s.url, max_retries=1).chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "a"
    assert [r.get("x-stainless-retry-count") for r in s.requests] == ["0", "1"]
    assert s.requests[0].body == s.requests[1].body
    assert len(s.connections) == 1


def test_429_too_often(new_openai, server):
    s = server(serve(as_json({"error": {"message": "slow down"}}, 429)))
    with pytest.raises(openai.RateLimitError, match="slow down"):
        new_openai(s.url).chat.completions.create(**ASKED)


@pytest.mark.parametrize("limit", [0.05, httpx.Timeout(5, read=0.05)])
def test_timeout(new_openai, server, limit):
    s = server([expect(), until_closed()])
    with pytest.raises(openai.APITimeoutError) as caught:
        new_openai(s.url, timeout=limit).chat.completions.create(**ASKED)
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)


def test_timeout_of_the_connection(new_openai):
    with silent_port() as port, pytest.raises(openai.APITimeoutError) as caught:
        client = new_openai(f"http://127.0.0.1:{port}", timeout=0.05)
        client.chat.completions.create(**ASKED)
    assert isinstance(caught.value.__cause__, httpx.ConnectTimeout)


def test_timeout_within_a_stream(new_openai, server):
    s = server([expect(), send(STREAM, event("a")), until_closed()])
    client = new_openai(s.url, timeout=httpx.Timeout(5, read=0.2))
    stream = client.chat.completions.create(**ASKED, stream=True)
    assert next(stream).choices[0].delta.content == "a"
    with pytest.raises(SILENT):
        next(stream)


def test_no_answer(new_openai, server):
    s = server([expect(), close()])
    with pytest.raises(openai.APIConnectionError) as caught:
        new_openai(s.url).chat.completions.create(**ASKED)
    assert isinstance(caught.value.__cause__, httpx.RemoteProtocolError)


def test_refused(new_openai):
    with refused_port() as port, pytest.raises(openai.APIConnectionError) as caught:
        new_openai(f"http://127.0.0.1:{port}").chat.completions.create(**ASKED)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


def test_upload(new_openai, server):
    """A multipart body, streamed by httpx."""
    file = {"id": "f", "object": "file", "bytes": 3, "created_at": 1}
    file |= {"filename": "n.jsonl", "purpose": "batch", "status": "processed"}
    s = server(serve(as_json(file)))
    named = ("n.jsonl", b"a" * 200_000)
    made = new_openai(s.url).files.create(file=named, purpose="batch")
    assert made.id == "f"
    assert b"a" * 200_000 in s.requests[0].body
    assert b'filename="n.jsonl"' in s.requests[0].body


def test_download(new_openai, server):
    s = server(serve(respond(b"b" * 200_000)))
    client = new_openai(s.url)
    assert client.files.content("f").read() == b"b" * 200_000
    with client.files.with_streaming_response.content("f") as response:
        assert sum(map(len, response.iter_bytes())) == 200_000
    assert len(s.connections) == 1


def test_threads(new_openai, server):
    """All at once: none waits for another."""
    all_here = threading.Barrier(8)

    def answer(request):
        all_here.wait(10)
        return completion(json.loads(request.body)["messages"][0]["content"])

    s = server(serve(answer))
    client = new_openai(s.url)

    def ask(text):
        asked = {**ASKED, "messages": [{"role": "user", "content": text}]}
        return client.chat.completions.create(**asked).choices[0].message.content

    calls = [Call(ask, str(n)) for n in range(8)]
    assert [call.result(20) for call in calls] == [str(n) for n in range(8)]
    assert len(s.connections) == 8
