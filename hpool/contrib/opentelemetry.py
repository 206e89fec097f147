"""OpenTelemetry: a client span and a duration for every request.

    from hpool.contrib.opentelemetry import HpoolInstrumentor

    HpoolInstrumentor().instrument()

Needs opentelemetry-api and opentelemetry-semantic-conventions: the extra
`hpool[opentelemetry]`. Follows the stable semantic conventions for HTTP
clients:

Span       "GET", of kind CLIENT, a child of the current one and the current
           one itself while the request is made. It ends when the head of the
           answer has arrived, or the body, if the call reads that too (verbs
           of the module, `stream=False`). A request that the pool sends again
           is one span, with `http.request.resend_count`.
Error      no answer, or a status from 400 up: status ERROR and `error.type`,
           the status or the name of the exception's class.
Metric     the histogram `http.client.request.duration`, in seconds.
Headers    what the configured propagator injects, by default `traceparent`,
           `tracestate` and `baggage`.

A caller that has suppressed instrumentation (an exporter, or a library above
that makes the span itself) gets neither span nor headers.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from opentelemetry import context, propagate
from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
)
from opentelemetry.metrics import Histogram, MeterProvider, get_meter
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_METHOD_ORIGINAL,
    HTTP_REQUEST_RESEND_COUNT,
    HTTP_RESPONSE_STATUS_CODE,
)
from opentelemetry.semconv.attributes.network_attributes import (
    NETWORK_PEER_ADDRESS,
    NETWORK_PEER_PORT,
    NETWORK_PROTOCOL_VERSION,
)
from opentelemetry.semconv.attributes.server_attributes import (
    SERVER_ADDRESS,
    SERVER_PORT,
)
from opentelemetry.semconv.attributes.url_attributes import URL_FULL
from opentelemetry.semconv.metrics.http_metrics import (
    HTTP_CLIENT_REQUEST_DURATION,
)
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)

from .. import Client, Response, __version__, _core

if TYPE_CHECKING:
    Attributes = dict[str, str | int]
    RequestHook = Callable[[Span, Client, str, str], object]
    ResponseHook = Callable[
        [Span, Response | None, BaseException | None], object
    ]
    Finish = Callable[[Response | None, BaseException | None], None]

__all__ = ["SENSITIVE_QUERY_PARAMETERS", "HpoolInstrumentor"]

_log = logging.getLogger(__name__)

#: The parameters that the conventions name, for sensitive_query_parameters=.
SENSITIVE_QUERY_PARAMETERS: Final = frozenset({
    "AWSAccessKeyId",
    "Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Signature",
    "sig",
})

_KNOWN_METHODS: Final = frozenset({
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT",
    "QUERY", "TRACE",
})  # fmt: skip

#: Of the conventions that are followed: the first stable ones.
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.23.0"

#: The boundaries that the conventions advise, in seconds.
_BUCKETS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
)  # fmt: skip


class HpoolInstrumentor:
    """Switches spans and metrics on and off, for all clients of the process
    at once. All instances stand for the same switch."""

    __slots__ = ()

    def instrument(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        request_hook: RequestHook | None = None,
        response_hook: ResponseHook | None = None,
        sensitive_query_parameters: Iterable[str] | None = None,
    ) -> None:
        """From the next request on.

        tracer_provider, meter_provider   the global ones by default
        request_hook(span, client, method, url)   before the request is made
        response_hook(span, response, error)   before the span ends; one of
            the last two is None, unless reading the body failed. Neither
            hook is called for a span that is not recorded
        sensitive_query_parameters   names of the query parameters whose
            values `url.full` does not show (SENSITIVE_QUERY_PARAMETERS are
            the conventions'); all by default

        A hook that raises is logged and changes nothing else. Where hpool is
        instrumented already this warns and does nothing.
        """
        tracer = get_tracer(__name__, __version__, tracer_provider, _SCHEMA)
        meter = get_meter(__name__, __version__, meter_provider, _SCHEMA)
        duration = meter.create_histogram(
            HTTP_CLIENT_REQUEST_DURATION,
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        made = _Instrument(
            tracer,
            duration,
            request_hook,
            response_hook,
            sensitive_query_parameters,
        )
        if not _switch.on(made):
            _log.warning("hpool is instrumented already; uninstrument() first")

    def uninstrument(self) -> None:
        """Requests under way keep their spans."""
        if not _switch.off():
            _log.warning("hpool is not instrumented")

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        return _switch.is_on


class _Switch:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.is_on = False

    def on(self, instrument: _Instrument) -> bool:
        with self._lock:
            if self.is_on:
                return False
            _core._set_instrument(instrument)
            self.is_on = True
            return True

    def off(self) -> bool:
        with self._lock:
            if not self.is_on:
                return False
            _core._set_instrument(None)
            self.is_on = False
            return True


_switch = _Switch()


class _Instrument:
    """What the core calls for every request: see csrc/py/instrument.h."""

    def __init__(
        self,
        tracer: Tracer,
        duration: Histogram,
        request_hook: RequestHook | None,
        response_hook: ResponseHook | None,
        sensitive: Iterable[str] | None,
    ) -> None:
        self.tracer = tracer
        self.duration = duration
        self.request_hook = request_hook
        self.response_hook = response_hook
        self.sensitive = None if sensitive is None else frozenset(sensitive)
        self.methods = _known_methods()

    def __call__(
        self, client: Client, method: str, url: str
    ) -> tuple[dict[str, str], Finish] | None:
        parts = _split(url)
        if parts is None or _suppressed():
            return None
        common = self._common(method, parts)
        span = self.tracer.start_span(
            _span_name(common),
            kind=SpanKind.CLIENT,
            attributes=common | self._own(method, common, parts),
        )
        call = _Call(self, span, common)
        try:
            if self.request_hook is not None and span.is_recording():
                _guarded(self.request_hook, span, client, method, url)
            headers: dict[str, str] = {}
            _guarded(propagate.inject, headers)
        except BaseException as error:  # a KeyboardInterrupt, say
            call(None, error)
            raise
        return headers, call

    def _common(self, method: str, parts: SplitResult) -> Attributes:
        """What the span and the metric share."""
        return {
            HTTP_REQUEST_METHOD: method if method in self.methods else "_OTHER",
            SERVER_ADDRESS: parts.hostname or "",
            SERVER_PORT: parts.port or (443 if parts.scheme == "https" else 80),
        }

    def _own(
        self, method: str, common: Attributes, parts: SplitResult
    ) -> Attributes:
        """What only the span has."""
        own: Attributes = {URL_FULL: _full_url(parts, self.sensitive)}
        if common[HTTP_REQUEST_METHOD] != method:
            own[HTTP_REQUEST_METHOD_ORIGINAL] = method
        return own


class _Call:
    """One request from its span's start to its end, which is the call."""

    __slots__ = ("common", "instrument", "span", "started", "token")

    def __init__(
        self, instrument: _Instrument, span: Span, common: Attributes
    ) -> None:
        self.instrument = instrument
        self.span = span
        self.common = common
        self.token = context.attach(set_span_in_context(span))
        self.started = perf_counter()

    def __call__(
        self, response: Response | None, error: BaseException | None
    ) -> None:
        elapsed = perf_counter() - self.started
        span, instrument = self.span, self.instrument
        try:
            outcome = _outcome(response, error)
            if span.is_recording():
                span.set_attributes(outcome | _details(response, error))
                _set_status(span, outcome, error)
                if instrument.response_hook is not None:
                    _guarded(instrument.response_hook, span, response, error)
            instrument.duration.record(elapsed, self.common | outcome)
        finally:
            context.detach(self.token)
            span.end()


def _guarded(function: Callable[..., object], *arguments: object) -> None:
    """Somebody else's code: what it raises must not break the request."""
    try:
        function(*arguments)
    except Exception:
        _log.exception("%r raised", function)


def _suppressed() -> bool:
    return bool(
        context.get_value(_SUPPRESS_INSTRUMENTATION_KEY)
        or context.get_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY)
    )


# ---- how it ended ------------------------------------------------------------


def _outcome(
    response: Response | None, error: BaseException | None
) -> Attributes:
    """What the span and the metric share."""
    outcome: Attributes = {}
    if response is not None:
        status = response.status_code
        outcome[HTTP_RESPONSE_STATUS_CODE] = status
        version = response.http_version.partition("/")[2]
        outcome[NETWORK_PROTOCOL_VERSION] = version
        if status >= 400:
            outcome[ERROR_TYPE] = str(status)
    if error is not None:
        outcome[ERROR_TYPE] = _class_name(error)
    return outcome


def _details(
    response: Response | None, error: BaseException | None
) -> Attributes:
    """What only the span has."""
    details: Attributes = {}
    attempts = getattr(error, "attempts", 1)
    if response is not None:
        connection = response.connection
        attempts = connection.attempts
        details.update(_peer(connection.remote))
    if attempts > 1:
        details[HTTP_REQUEST_RESEND_COUNT] = attempts - 1
    return details


def _set_status(
    span: Span, outcome: Attributes, error: BaseException | None
) -> None:
    if error is not None:
        span.record_exception(error)
        words = f"{type(error).__name__}: {error}"
        span.set_status(Status(StatusCode.ERROR, words))
    elif ERROR_TYPE in outcome:  # the status code says why
        span.set_status(Status(StatusCode.ERROR))


def _class_name(error: BaseException) -> str:
    cls = type(error)
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def _peer(remote: str) -> Attributes:
    """From "127.0.0.1:80", "[::1]:80" or "unix:/path"."""
    if remote.startswith("unix:"):
        return {NETWORK_PEER_ADDRESS: remote[5:]}
    address, _, port = remote.rpartition(":")
    if not address:
        return {}
    return {
        NETWORK_PEER_ADDRESS: address.strip("[]"),
        NETWORK_PEER_PORT: int(port),
    }


# ---- what was asked for ------------------------------------------------------


def _known_methods() -> frozenset[str]:
    named = os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS")
    if named is None:
        return _KNOWN_METHODS
    return frozenset(name.strip() for name in named.split(","))


def _span_name(common: Attributes) -> str:
    method = str(common[HTTP_REQUEST_METHOD])
    return "HTTP" if method == "_OTHER" else method


def _split(url: str) -> SplitResult | None:
    """None for what no request will be made of."""
    try:
        parts = urlsplit(url)
        named = parts.hostname and (parts.port is None or parts.port >= 0)
    except ValueError:
        return None
    return parts if named and parts.scheme in ("http", "https") else None


def _full_url(parts: SplitResult, sensitive: frozenset[str] | None) -> str:
    fields = (_redacted(field, sensitive) for field in parts.query.split("&"))
    return parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        query="&".join(fields) if parts.query else "",
    ).geturl()


def _redacted(field: str, sensitive: frozenset[str] | None) -> str:
    name, equals, value = field.partition("=")
    if sensitive is not None and name not in sensitive:
        return field
    return f"{name}=REDACTED" if equals else "REDACTED"
