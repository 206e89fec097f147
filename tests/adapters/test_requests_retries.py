"""max_retries: urllib3's Retry obeyed as requests' own adapter obeys it."""

import io
import threading

import pytest
from requests import exceptions
from urllib3.util import Retry

import hpool
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    send,
    serve,
    until_closed,
)


class Slept(Retry):
    """A Retry that tells how long it would have slept."""

    slept: list = []

    def sleep(self, response=None):
        after = self.get_retry_after(response) if response is not None else None
        self.slept.append(self.get_backoff_time() if after is None else after)


@pytest.fixture
def slept(monkeypatch):
    monkeypatch.setattr(Slept, "slept", [])
    return Slept.slept


def answers(*statuses, headers=()):
    """A script that answers with these, one after the other."""
    left = list(statuses)
    return serve(
        lambda r: respond(r.body or b"-", left.pop(0), headers)
    )


def test_none_by_default(session, server):
    srv = server(answers(503))
    assert session.get(srv.url).status_code == 503
    assert session.get_adapter(srv.url).max_retries.total == 0


def test_a_number_is_of_connections_that_fail(new_session):
    class Counted(Retry):
        made = 0

        def increment(self, *args, **how):
            Counted.made += 1
            return super().increment(*args, **how)

    session = new_session(max_retries=Counted(3, backoff_factor=0))
    with refused_port() as port, pytest.raises(exceptions.ConnectionError):
        session.get(f"http://127.0.0.1:{port}")
    assert Counted.made == 4


def test_a_number_is_not_of_answers(new_session, server):
    srv = server(answers(503))
    assert new_session(max_retries=3).get(srv.url).status_code == 503


def test_statuses(new_session, server, slept):
    retry = Slept(3, status_forcelist=[502, 503], backoff_factor=1)
    srv = server(answers(503, 502, 503, 200))
    response = new_session(max_retries=retry).get(srv.url)
    assert response.status_code == 200
    history = response.raw.retries.history
    assert [past.status for past in history] == [503, 502, 503]
    assert slept == [0, 2, 4]
    assert len(srv.connections) == 1  # short answers are read


def test_too_many_statuses(new_session, server):
    retry = Retry(1, status_forcelist=[503])
    srv = server(answers(503, 503))
    with pytest.raises(exceptions.RetryError, match="too many 503") as caught:
        new_session(max_retries=retry).get(f"{srv.url}/x")
    assert caught.value.request.url.endswith("/x")


def test_the_last_answer_may_be_taken(new_session, server):
    retry = Retry(1, status_forcelist=[503], raise_on_status=False)
    srv = server(answers(503, 503))
    response = new_session(max_retries=retry).get(srv.url)
    assert (response.status_code, response.content) == (503, b"-")


def test_retry_after(new_session, server, slept):
    srv = server(answers(429, 503, 200, headers={"Retry-After": "7"}))
    response = new_session(max_retries=Slept(3)).get(srv.url)
    assert response.status_code == 200
    assert slept == [7, 7]


def test_an_empty_retry_after(new_session, server):
    srv = server(answers(503, headers={"Retry-After": ""}))
    assert new_session(max_retries=Retry(3)).get(srv.url).status_code == 503


def test_retry_after_may_be_ignored(new_session, server):
    retry = Retry(3, respect_retry_after_header=False)
    srv = server(answers(429, headers={"Retry-After": "7"}))
    assert new_session(max_retries=retry).get(srv.url).status_code == 429


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_methods_that_are_not_repeated(new_session, server, method):
    srv = server(answers(503))
    session = new_session(max_retries=Retry(3, status_forcelist=[503]))
    assert session.request(method, srv.url).status_code == 503


def test_methods_that_are(new_session, server):
    retry = Retry(3, status_forcelist=[503], allowed_methods=None)
    srv = server(answers(503, 200))
    session = new_session(max_retries=retry)
    assert session.post(srv.url, data=b"abc").content == b"abc"
    assert [r.body for r in srv.requests] == [b"abc", b"abc"]


def test_files_start_again_from_where_they_were(new_session, server):
    retry = Retry(3, status_forcelist=[503], allowed_methods=None)
    srv = server(answers(503, 503, 200))
    file = io.BytesIO(b"abcdef")
    file.seek(2)
    response = new_session(max_retries=retry).post(srv.url, data=file)
    assert response.content == b"cdef"
    assert [r.body for r in srv.requests] == [b"cdef"] * 3


@pytest.mark.parametrize("retry", [Retry(2), Retry(2, connect=0), Retry(None, read=1)])
def test_lost_answers(new_session, server, retry):
    gone = [expect(), close()]
    srv = server(gone, serve(respond(b"hello")))
    assert new_session(max_retries=retry).get(srv.url).content == b"hello"


@pytest.mark.parametrize("retry", [Retry(0, read=False), Retry(3, read=0), 3])
def test_lost_answers_are_not_tried_again(new_session, server, retry):
    srv = server([expect(), close()])
    session = new_session(max_retries=retry)
    with pytest.raises(exceptions.ConnectionError):
        session.post(srv.url)
    assert len(srv.connections) == 1


def test_silence_each_time(new_session, server):
    """When the retries run out, it is no ReadTimeout any more."""
    srv = server([expect(), until_closed()])
    session = new_session(max_retries=Retry(1))
    with pytest.raises(exceptions.ConnectionError) as caught:
        session.get(srv.url, timeout=0.05)
    assert type(caught.value) is exceptions.ConnectionError
    assert len(srv.connections) == 2


def test_a_connection_that_was_kept_is_another_matter(new_session, server):
    """hpool replaces it below, and counts no retry."""
    once = [expect(), send(respond(b"1")), close()]
    srv = server(once, serve(respond(b"2")))
    session = new_session(max_retries=0)
    session.get(srv.url)
    srv.connections[0].wait_ended()
    response = session.get(srv.url)
    assert response.content == b"2"
    assert response.raw.retries.history == ()


def test_redirects_are_none_of_its_business(new_session, server):
    srv = server(serve(respond(b"", 302, {"Location": "/there"})))
    session = new_session(max_retries=Retry(0, redirect=0))
    response = session.get(srv.url, allow_redirects=False)
    assert response.status_code == 302


# ---- hpool's own -------------------------------------------------------------


def test_an_iterator_is_sent_again_when_nothing_of_it_was(hpool_session, server):
    """Own adapters would send what is left of it, that is nothing."""
    retry = Retry(3, status_forcelist=[503], allowed_methods=None)
    srv = server(answers(503))
    session = hpool_session(max_retries=retry)
    with pytest.raises(exceptions.UnrewindableBodyError) as caught:
        session.post(srv.url, data=iter([b"abc"]))
    assert caught.value.request.method == "POST"
    assert len(srv.requests) == 1
    with refused_port() as port, pytest.raises(exceptions.ConnectionError):
        session.post(f"http://127.0.0.1:{port}", data=iter([b"abc"]))


def test_a_long_answer_is_not_read_for_a_retry(hpool_session, server):
    long = b"HTTP/1.1 503 No\r\nContent-Length: 1000000000\r\n\r\nxx"
    srv = server([expect(), send(long)], serve(respond(b"hello")))
    session = hpool_session(max_retries=Retry(1, status_forcelist=[503]))
    assert session.get(srv.url).content == b"hello"
    srv.connections[0].wait_closed()


def test_the_total_is_that_of_all_attempts(hpool_session, server):
    def answer(request):
        never.wait(0.15)
        return respond(b"", 503)

    never = threading.Event()
    srv = server(serve(answer))
    session = hpool_session(
        max_retries=Retry(1, status_forcelist=[503]),
        timeout=hpool.Timeout(None, total=0.25),
    )
    with pytest.raises(exceptions.Timeout):
        session.get(srv.url)


def test_a_short_answer_that_comes_late_is_read_for_a_retry(hpool_session, server):
    def late(connection):
        connection.expect()
        connection.send(respond(b"late", 503)[:-4])
        never.wait(0.05)
        connection.send(b"late")
        connection.serve(respond(b"hello"))

    never = threading.Event()
    srv = server(late)
    session = hpool_session(
        max_retries=Retry(1, status_forcelist=[503]),
        limits=hpool.Limits(drain_timeout=10),
    )
    assert session.get(srv.url).content == b"hello"
    assert len(srv.connections) == 1


def test_responses_of_retries_leave_nothing_behind(hpool_session, server, client_of):
    retry = Retry(5, status_forcelist=[503])
    srv = server(answers(503, 503, 503, 200))
    session = hpool_session(max_retries=retry)
    session.get(srv.url)
    total = client_of(session).stats().total
    assert (total.now.idle, total.now.in_use) == (1, 0)
