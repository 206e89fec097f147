"""hpool.contrib.opentelemetry against the official SDK: what its in-memory
exporters hold, and what the server was sent."""

import threading

import pytest
from opentelemetry import context, trace
from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

import hpool
from hpool.contrib.opentelemetry import SENSITIVE_QUERY_PARAMETERS, HpoolInstrumentor
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    send,
    serve,
)
from tests.tools import Call

OK = respond(b"ok")
ADVISED = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class Telemetry:
    def __init__(self, **settings):
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(**settings)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    def instrument(self, **how):
        HpoolInstrumentor().instrument(
            tracer_provider=self.tracers, meter_provider=self.meters, **how
        )

    def spans(self):
        return self.exporter.get_finished_spans()

    def span(self):
        [only] = self.spans()
        return only

    def metric(self):
        data = self.reader.get_metrics_data()
        [resource] = data.resource_metrics
        [scope] = resource.scope_metrics
        assert scope.scope.name == "hpool.contrib.opentelemetry"
        [metric] = scope.metrics
        return metric

    def points(self):
        return self.metric().data.data_points


@pytest.fixture
def telemetry():
    made = Telemetry()
    yield made
    if HpoolInstrumentor().is_instrumented_by_opentelemetry:
        HpoolInstrumentor().uninstrument()
    made.tracers.shutdown()
    made.meters.shutdown()


def traceparent(span):
    ids = span.get_span_context()
    return f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}"


def test_span_of_a_request(server, new_client, telemetry):
    s = server([serve(OK)])
    telemetry.instrument()
    client = new_client()
    with client.get(f"{s.url}/x") as response:
        span = telemetry.span()  # it has ended with the head
        assert response.read() == b"ok"
    assert (span.name, span.kind) == ("GET", SpanKind.CLIENT)
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "url.full": f"{s.url}/x",
        "server.address": "127.0.0.1",
        "server.port": s.port,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "network.peer.address": "127.0.0.1",
        "network.peer.port": s.port,
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is None and span.events == ()
    assert span.end_time > span.start_time
    scope = span.instrumentation_scope
    assert scope.name == "hpool.contrib.opentelemetry"
    assert scope.version == hpool.__version__
    assert scope.schema_url == "https://opentelemetry.io/schemas/1.23.0"
    assert s.requests[0].get("traceparent") == traceparent(span)
    assert response.request.headers["traceparent"] == traceparent(span)


def test_metric_of_requests(server, new_client, telemetry):
    """One histogram by what the conventions require; its boundaries are those
    that they advise."""
    answers = iter([OK, OK, respond(b"", 404)])
    s = server([serve(lambda request: next(answers))])
    telemetry.instrument()
    client = new_client()
    for _ in range(3):
        client.get(s.url, stream=False)
    metric = telemetry.metric()
    assert (metric.name, metric.unit) == ("http.client.request.duration", "s")
    found, missing = sorted(metric.data.data_points, key=lambda point: -point.count)
    common = {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": s.port,
        "network.protocol.version": "1.1",
    }
    assert dict(found.attributes) == common | {"http.response.status_code": 200}
    assert dict(missing.attributes) == common | {
        "http.response.status_code": 404,
        "error.type": "404",
    }
    assert (found.count, missing.count) == (2, 1)
    assert found.explicit_bounds == ADVISED
    spans = telemetry.spans()
    nanoseconds = sum(span.end_time - span.start_time for span in spans[:2])
    assert 0 < found.sum <= nanoseconds / 1e9


def test_https_and_its_default_port(nginx, ca, new_client, telemetry):
    """The port of the URL when it names one; the scheme's when it does not."""
    telemetry.instrument()
    client = new_client(verify=ca.pem)
    client.get(f"{nginx.https_url}/small", stream=False)
    assert telemetry.spans()[0].attributes["server.port"] == nginx.tls_port
    for url, port in (("https://127.0.0.1", 443), ("http://127.0.0.1/x", 80)):
        token = hpool.CancelToken()
        token.cancel()
        with pytest.raises(hpool.Cancelled):
            client.get(url, cancel=token)
        assert telemetry.spans()[-1].attributes["server.port"] == port


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
def test_status(server, new_client, telemetry, status):
    """From 400 up an error without a description, since the code says it."""
    s = server([serve(respond(b"", status))])
    telemetry.instrument()
    new_client().get(s.url, stream=False)
    span = telemetry.span()
    assert span.attributes["http.response.status_code"] == status
    if status < 400:
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in span.attributes
    else:
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert span.attributes["error.type"] == str(status)
    assert span.events == ()


def test_connection_refused(new_client, telemetry):
    telemetry.instrument()
    with refused_port() as port, pytest.raises(hpool.ConnectError) as raised:
        new_client().get(f"http://127.0.0.1:{port}/x?token=secret")
    span = telemetry.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == f"ConnectError: {raised.value}"
    assert span.attributes["error.type"] == "hpool.errors.ConnectError"
    assert "http.response.status_code" not in span.attributes
    [event] = span.events
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "hpool.errors.ConnectError"
    assert "secret" not in span.to_json()
    [point] = telemetry.points()
    assert dict(point.attributes) == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": port,
        "error.type": "hpool.errors.ConnectError",
    }


def test_failure_in_the_body(server, new_client, telemetry):
    """A call that reads the body has failed with it, status 200 or not."""
    cut = respond(b"0123456789")[:-5]
    s = server([expect(), send(cut), close()])
    telemetry.instrument()
    with pytest.raises(hpool.IncompleteRead):
        new_client().get(s.url, stream=False)
    span = telemetry.span()
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["error.type"] == "hpool.errors.IncompleteRead"
    assert span.status.status_code is StatusCode.ERROR


def test_interrupt_of_a_hook_ends_the_span(new_client, telemetry):
    def interrupt(*_):
        raise KeyboardInterrupt

    telemetry.instrument(request_hook=interrupt)
    with pytest.raises(KeyboardInterrupt):
        new_client().get("http://127.0.0.1:9/")
    assert telemetry.span().attributes["error.type"] == "KeyboardInterrupt"
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_sent_again(server, new_client, telemetry):
    """What the pool sends again is one span and says so."""
    s = server([expect(), send(OK), expect(), close()], [expect(), send(OK)])
    telemetry.instrument()
    client = new_client()
    client.get(s.url, stream=False)
    response = client.get(s.url, stream=False)
    assert response.connection.attempts == 2
    first, again = telemetry.spans()
    assert "http.request.resend_count" not in first.attributes
    assert again.attributes["http.request.resend_count"] == 1
    assert {request.get("traceparent") for request in s.requests[1:]} == {
        traceparent(again)
    }


def test_parent_and_current_span(server, new_client, telemetry):
    """A child of the current span; the current one for what runs within the
    request; and afterwards the parent is that again."""
    s = server([serve(OK)])
    telemetry.instrument()
    within = []

    def pieces():
        within.append(trace.get_current_span())
        yield b"x"

    tracer = telemetry.tracers.get_tracer("test")
    with tracer.start_as_current_span("parent") as parent:
        new_client().post(s.url, data=pieces(), stream=False)
        assert trace.get_current_span() is parent
    span = telemetry.spans()[0]
    assert span.parent.span_id == parent.get_span_context().span_id
    assert span.context.trace_id == parent.get_span_context().trace_id
    assert within[0].get_span_context() == span.get_span_context()


def test_threads(server, new_client, telemetry):
    """Each thread's requests are children of its own span, and the server was
    told just those."""
    s = server(*[[serve(OK)]] * 8)
    telemetry.instrument()
    client = new_client()
    tracer = telemetry.tracers.get_tracer("test")
    together = threading.Barrier(8)

    def work(n):
        with tracer.start_as_current_span(f"thread {n}") as parent:
            for i in range(10):
                together.wait(10)
                client.get(f"{s.url}/{n}/{i}", stream=False)
            return parent.get_span_context()

    parents = [call.result() for call in [Call(work, n) for n in range(8)]]
    spans = {
        span.attributes["url.full"]: span
        for span in telemetry.spans()
        if span.kind is SpanKind.CLIENT
    }
    assert len(spans) == 80
    for n, parent in enumerate(parents):
        for i in range(10):
            span = spans[f"{s.url}/{n}/{i}"]
            assert span.parent.span_id == parent.span_id
            assert span.context.trace_id == parent.trace_id
    for request in s.requests:
        assert request.get("traceparent") == traceparent(spans[s.url + request.target])


def test_own_traceparent_is_replaced(server, new_client, telemetry):
    """Two of them would make the server take none."""
    s = server([serve(OK)])
    telemetry.instrument()
    client = new_client(headers={"Traceparent": "client's"})
    client.get(s.url, headers={"TraceParent": "call's", "A": "b"}, stream=False)
    assert s.requests[0].get("traceparent") == traceparent(telemetry.span())
    assert s.requests[0].get("A") == "b"


def test_not_sampled(server, new_client):
    """No span, but the server learns that, and the duration counts."""
    telemetry = Telemetry(sampler=ALWAYS_OFF)
    s = server([serve(OK)])
    called = []
    telemetry.instrument(request_hook=lambda *_: called.append("hook"))
    try:
        new_client().get(s.url, stream=False)
    finally:
        HpoolInstrumentor().uninstrument()
    assert telemetry.spans() == () and called == []
    flags = int(s.requests[0].get("traceparent").rpartition("-")[2], 16)
    assert flags & 1 == 0
    assert telemetry.points()[0].count == 1


# ---- what is shown -----------------------------------------------------------


def full_url(new_client, telemetry, url):
    token = hpool.CancelToken()
    token.cancel()
    with pytest.raises(hpool.Cancelled):
        new_client().get(url, cancel=token)
    span = telemetry.spans()[-1]
    assert "secret" not in span.to_json()
    return span.attributes["url.full"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a.test", "http://a.test"),
        ("http://A.test:81/x/y", "http://A.test:81/x/y"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://u:secret@a.test/", "http://a.test/"),
        ("http://secret@a.test/", "http://a.test/"),
        ("http://a.test/?a=secret&b=", "http://a.test/?a=REDACTED&b=REDACTED"),
        ("http://a.test/?secret", "http://a.test/?REDACTED"),
        ("http://a.test/?sig=secret=#x", "http://a.test/?sig=REDACTED#x"),
    ],
)
def test_url_full(new_client, telemetry, url, shown):
    telemetry.instrument()
    assert full_url(new_client, telemetry, url) == shown


def test_url_full_as_the_conventions_have_it(new_client, telemetry):
    telemetry.instrument(sensitive_query_parameters=SENSITIVE_QUERY_PARAMETERS)
    url = "http://a.test/?color=blue&sig=secret&X-Amz-Signature=secret&flag&SIG=1"
    assert full_url(new_client, telemetry, url) == (
        "http://a.test/?color=blue&sig=REDACTED&X-Amz-Signature=REDACTED&flag&SIG=1"
    )


def test_unknown_method(server, new_client, telemetry):
    s = server([serve(OK)])
    telemetry.instrument()
    new_client().request("BREW", s.url, stream=False)
    span = telemetry.span()
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"
    [point] = telemetry.points()
    assert point.attributes["http.request.method"] == "_OTHER"
    assert "http.request.method_original" not in point.attributes


def test_known_methods_from_the_environment(server, new_client, telemetry, monkeypatch):
    """They stand in place of the usual ones."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "BREW, GET")
    s = server([serve(OK)])
    telemetry.instrument()
    client = new_client()
    for method in ("BREW", "GET", "POST"):
        client.request(method, s.url, stream=False)
    assert [span.name for span in telemetry.spans()] == ["BREW", "GET", "HTTP"]


def test_unusable_url(new_client, telemetry):
    """Nothing is sent, so there is no span; the error is the usual one."""
    telemetry.instrument()
    client = new_client()
    for url in ("a.test/x", "ftp://a.test/", "http://", "http://a.test:99999/"):
        with pytest.raises(hpool.RequestException):
            client.get(url)
    assert telemetry.spans() == ()


# ---- hooks, suppression, on and off ------------------------------------------


def test_hooks(server, new_client, telemetry):
    s = server([serve(OK)])

    def before(span, client, method, url):
        span.set_attribute("test.request", f"{method} {url}")
        assert client is ours

    def after(span, response, error):
        span.set_attribute("test.length", response.headers["Content-Length"])
        assert error is None

    ours = new_client()
    telemetry.instrument(request_hook=before, response_hook=after)
    ours.get(s.url, stream=False)
    assert telemetry.span().attributes["test.request"] == f"GET {s.url}"
    assert telemetry.span().attributes["test.length"] == "2"


def test_hooks_that_raise_are_logged(server, new_client, telemetry, caplog):
    s = server([serve(OK)])

    def before(*_):
        raise ValueError("before")

    def after(*_):
        raise ValueError("after")

    telemetry.instrument(request_hook=before, response_hook=after)
    assert new_client().get(s.url, stream=False).content == b"ok"
    assert telemetry.span().attributes["http.response.status_code"] == 200
    assert s.requests[0].get("traceparent") == traceparent(telemetry.span())
    logged = [(r.name, str(r.exc_info[1])) for r in caplog.records]
    name = "hpool.contrib.opentelemetry"
    assert logged == [(name, "before"), (name, "after")]


@pytest.mark.parametrize(
    "key", [_SUPPRESS_INSTRUMENTATION_KEY, _SUPPRESS_HTTP_INSTRUMENTATION_KEY]
)
def test_suppressed(server, new_client, telemetry, key):
    """As an exporter does for what it sends itself."""
    s = server([serve(OK)])
    telemetry.instrument()
    token = context.attach(context.set_value(key, True))
    try:
        new_client().get(s.url, stream=False)
    finally:
        context.detach(token)
    assert telemetry.spans() == ()
    assert s.requests[0].get("traceparent") is None


def test_uninstrument(server, new_client, telemetry, caplog):
    s = server([serve(OK)])
    telemetry.instrument()
    client = new_client()
    client.get(s.url, stream=False)
    HpoolInstrumentor().uninstrument()
    assert not HpoolInstrumentor().is_instrumented_by_opentelemetry
    client.get(s.url, stream=False)
    assert len(telemetry.spans()) == 1
    assert telemetry.points()[0].count == 1
    assert s.requests[1].get("traceparent") is None
    assert caplog.records == []
    HpoolInstrumentor().uninstrument()
    assert "not instrumented" in caplog.text


def test_instrument_twice(server, new_client, telemetry, caplog):
    """The second one changes nothing, and says so."""
    s = server([serve(OK)])
    telemetry.instrument()
    assert caplog.records == []
    telemetry.instrument(request_hook=lambda *_: pytest.fail("in force"))
    assert "instrumented already" in caplog.text
    new_client().get(s.url, stream=False)
    assert len(telemetry.spans()) == 1


def test_global_providers(server, new_client, monkeypatch):
    """Those that are in force when instrument() is called, without arguments."""
    telemetry = Telemetry()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", telemetry.tracers)
    s = server([serve(OK)])
    HpoolInstrumentor().instrument()
    try:
        new_client().get(s.url, stream=False)
    finally:
        HpoolInstrumentor().uninstrument()
    assert telemetry.span().name == "GET"
