"""Prometheus: what a client's pool holds and does, for prometheus_client.

    from hpool.contrib.prometheus import Collector

    client = hpool.Client()
    Collector(client, "payments")

Needs prometheus-client: the extra `hpool[prometheus]`. All metrics bear the
labels `client`, the name given, and `host`, "example.com:443".

    hpool_requests_in_flight            begun and not ended, bodies included
    hpool_requests_waiting              for a connection, at a limit
    hpool_connections                   by `state`: idle, in_use, dialing,
                                        draining
    hpool_request_duration_seconds      histogram by `method`, `status_class`:
                                        2xx ..., error; to the body's end
    hpool_request_errors_total          by `error`: ReadTimeout ...
    hpool_requests_total                that asked the pool for a connection
    hpool_dials_total  hpool_reuses_total  hpool_lookups_total
    hpool_tls_handshakes_total          by `kind`: full, resumed
    hpool_connections_closed_total      by `reason`: idle_timeout ...
    hpool_replays_total                 by `reason`
    hpool_drains_total                  bodies read to their end unasked
    hpool_wait_seconds                  histogram: waits in line that ended
    hpool_queue_refused_total           the queue was full
    hpool_requests_lost_total           on a connection closed by the server
    hpool_no_descriptors_total          the system had none left
    hpool_timeouts_total                by `phase`: pool, connect ...
    hpool_leaked_responses_total        neither read nor closed

A Grafana dashboard and alert rules for these names are beside this file:
grafana-dashboard.json and alerts.yml.
"""

from __future__ import annotations

import threading
from collections import Counter as Tally
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from .. import Client
from .._stats import address_of
from ..trace import attach, detach
from ._counts import OTHER, Counts, Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from typing import Any, Self

    from .._stats import Stats

    Families = dict[str, Metric]

__all__ = ["OTHER", "Collector"]

_STATES: Final = ("idle", "in_use", "dialing", "draining")
_METHODS: Final = frozenset({
    "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY",
    "TRACE",
})  # fmt: skip
_BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
)  # fmt: skip

_GAUGES: Final = {
    "requests_in_flight": "Requests begun and not ended, bodies included.",
    "requests_waiting": "Requests that wait for a connection.",
    "connections": "Connections by what they do.",
}

#: What client.stats() counts: its words, and its own label if it has one.
_COUNTERS: Final[dict[str, tuple[str, str | None]]] = {
    "requests": ("Requests that asked for a connection.", None),
    "dials": ("Connections begun.", None),
    "reuses": ("Requests served by a connection that was there.", None),
    "lookups": ("Names looked up.", None),
    "tls_handshakes": ("TLS handshakes done.", "kind"),
    "connections_closed": ("Connections closed.", "reason"),
    "replays": ("Requests sent again by the pool.", "reason"),
    "drains": ("Bodies drained to their end, the connection kept.", None),
    "queue_refused": ("Requests refused, the queue being full.", None),
    "requests_lost": (
        "Requests that failed because the server had closed the connection "
        "kept for it.",
        None,
    ),
    "no_descriptors": ("How often the system had no descriptor left.", None),
    "timeouts": ("Requests that ran out of time.", "phase"),
    "leaked_responses": ("Responses neither read nor closed.", None),
}

_WAIT: Final = "wait_seconds"
_WAIT_WORDS: Final = "Waits for a connection, of those who had to."
_DURATION: Final = "request_duration_seconds"
_DURATION_WORDS: Final = "From the call to the end of the body."
_ERRORS: Final = "request_errors"
_ERRORS_WORDS: Final = "Requests that failed, by the exception's class."


class Collector:
    """The metrics of one client, from now on until close().

    client     a client, which this keeps alive
    name       the label `client`; no two of one registry may share it
    registry   where to register; None: nowhere, but collect() is there
    buckets    upper bounds of the histogram of durations, in seconds
    max_hosts  so many hosts are told apart, the first ones seen; all others
               are the host "other"

    Gauges and counters are read from `client.stats()` when they are scraped;
    only durations, errors and what is in flight are noted as they come, by a
    trace handler beside those the client has. Any number of clients may
    share a registry. Counters never go backwards, although the pool forgets
    a host that has nothing left.

    Raises ValueError for a name that is taken.
    """

    def __init__(
        self,
        client: Client,
        name: str = "default",
        *,
        registry: CollectorRegistry | None = REGISTRY,
        buckets: Sequence[float] = _BUCKETS,
        max_hosts: int = 100,
    ) -> None:
        self.client = client
        self.name = name
        self._lock = threading.Lock()
        self._names = Names(max_hosts)
        self._counts = Counts(self._names)
        self._requests = _Requests(name, self._names, buckets)
        self._registry = registry
        if registry is not None:
            _join(registry, self)
        attach(client, self._requests)

    def close(self) -> None:
        """Its metrics vanish; the client goes on. May be called twice."""
        detach(self.client, self._requests)
        if self._registry is not None:
            _leave(self._registry, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Collector {self.name!r} of {self.client!r}>"

    def collect(self) -> Iterable[Metric]:
        """The metrics of now, as prometheus_client takes them."""
        families = _families()
        self._fill(families)
        return families.values()

    def _fill(self, families: Families) -> None:
        with self._lock:  # two scrapes may come at once
            stats = self.client.stats()
            self._counts.update(stats)
            self._put_gauges(families, stats)
            self._put_counters(families)
        self._requests.fill(families)

    def _put_gauges(self, families: Families, stats: Stats) -> None:
        connections: Tally[tuple[str, str]] = Tally()
        waiting: Tally[str] = Tally()
        for key, row in stats.hosts.items():
            host = self._names.of(address_of(key))
            waiting[host] += row.waiting
            for state in _STATES:
                connections[host, state] += getattr(row, state)
        for (host, state), n in connections.items():
            _put(families, "connections", n, self.name, host, state=state)
        for host, n in waiting.items():
            _put(families, "requests_waiting", n, self.name, host)

    def _put_counters(self, families: Families) -> None:
        for host, counts in self._counts.by_host():
            buckets: dict[str, int] = {}
            for (counted, value), n in counts.items():
                if counted == "waits":
                    buckets[value] = n
                elif counted in _COUNTERS:
                    label = _COUNTERS[counted][1]
                    own = {} if label is None else {label: value}
                    _put(families, counted, n, self.name, host, **own)
            waited = counts["wait_nanoseconds", ""] / 1e9
            _put_histogram(families[_WAIT], buckets, waited, self.name, host)


class _Requests:
    """The trace handler: what has to be noted when it happens."""

    def __init__(
        self, client: str, names: Names, buckets: Sequence[float]
    ) -> None:
        self._client = client
        self._names = names
        self._lock = threading.Lock()
        self._in_flight: dict[int, tuple[str, str]] = {}  # (host, method)
        self._duration = Histogram(
            f"hpool_{_DURATION}",
            _DURATION_WORDS,
            ("client", "host", "method", "status_class"),
            registry=None,
            buckets=buckets,
        )
        self._errors = Counter(
            f"hpool_{_ERRORS}",
            _ERRORS_WORDS,
            ("client", "host", "error"),
            registry=None,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy of the client, in another process perhaps, has no collector.
        return _nobody, ()

    def request_start(self, info: dict[str, Any]) -> None:
        method = info["method"] if info["method"] in _METHODS else OTHER
        known = self._names.of(info["host"]), method
        with self._lock:
            self._in_flight[info["request"]] = known

    def request_done(self, info: dict[str, Any]) -> None:
        with self._lock:
            known = self._in_flight.pop(info["request"], None)
        if known is None:  # it began before this was attached
            return
        host, method = known
        error = info["error"]
        status_class = "error" if error else f"{info['status'] // 100}xx"
        self._duration.labels(self._client, host, method, status_class).observe(
            info["duration"]
        )
        if error:
            self._errors.labels(self._client, host, error).inc()

    def fill(self, families: Families) -> None:
        with self._lock:
            in_flight = Tally(host for host, _ in self._in_flight.values())
        for host, n in in_flight.items():
            _put(families, "requests_in_flight", n, self._client, host)
        for name, metric in (
            (_DURATION, self._duration),
            (_ERRORS, self._errors),
        ):
            for family in metric.collect():
                families[name].samples += [
                    sample
                    for sample in family.samples
                    if not sample.name.endswith("_created")
                ]


def _nobody() -> None:
    """What a copied client has in place of this trace handler."""


# ---- families ----------------------------------------------------------------


def _families() -> Families:
    """All metrics, without samples."""
    families: Families = {}
    for name, words in _GAUGES.items():
        families[name] = GaugeMetricFamily(f"hpool_{name}", words)
    for name, (words, _) in _COUNTERS.items():
        families[name] = CounterMetricFamily(f"hpool_{name}", words)
    for name, words in ((_WAIT, _WAIT_WORDS), (_DURATION, _DURATION_WORDS)):
        families[name] = HistogramMetricFamily(f"hpool_{name}", words)
    families[_ERRORS] = CounterMetricFamily(f"hpool_{_ERRORS}", _ERRORS_WORDS)
    return families


def _put(
    families: Families,
    name: str,
    value: float,
    client: str,
    host: str,
    **own: str,
) -> None:
    family = families[name]
    suffix = "_total" if family.type == "counter" else ""
    family.add_sample(
        family.name + suffix, {"client": client, "host": host, **own}, value
    )


def _put_histogram(
    family: Metric,
    buckets: dict[str, int],
    total: float,
    client: str,
    host: str,
) -> None:
    """`buckets`: how many fell into each, by its upper bound."""
    labels = {"client": client, "host": host}
    so_far = 0
    for bound in sorted(buckets, key=float):
        so_far += buckets[bound]
        family.add_sample(
            f"{family.name}_bucket", {**labels, "le": bound}, so_far
        )
    family.add_sample(f"{family.name}_count", labels, so_far)
    family.add_sample(f"{family.name}_sum", labels, total)


# ---- one registry, many clients ----------------------------------------------


class _Hub:
    """What a registry knows: it must meet each metric once only, with the
    samples of all clients."""

    def __init__(self) -> None:
        self.collectors: dict[str, Collector] = {}

    def collect(self) -> Iterable[Metric]:
        families = _families()
        for collector in list(self.collectors.values()):
            collector._fill(families)
        return families.values()

    def describe(self) -> Iterable[Metric]:
        return _families().values()


_hubs: WeakKeyDictionary[CollectorRegistry, _Hub] = WeakKeyDictionary()
_joining = threading.Lock()


def _join(registry: CollectorRegistry, collector: Collector) -> None:
    with _joining:
        hub = _hubs.get(registry)
        if hub is None:
            hub = _Hub()
            registry.register(hub)
            _hubs[registry] = hub
        if collector.name in hub.collectors:
            raise ValueError(
                f"there is a collector named {collector.name!r} already: "
                "give this one another name"
            )
        hub.collectors[collector.name] = collector


def _leave(registry: CollectorRegistry, collector: Collector) -> None:
    with _joining:
        hub = _hubs.get(registry)
        if hub is None or hub.collectors.get(collector.name) is not collector:
            return
        del hub.collectors[collector.name]
        if not hub.collectors:
            registry.unregister(hub)
            del _hubs[registry]
