"""hpool.contrib.prometheus against the official library, promtool and a real
Prometheus: what they read is what the pool did."""

import json
import pickle
import re
import subprocess
import threading
from contextlib import contextmanager
from importlib.resources import files

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client import start_http_server
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

import hpool
from hpool import _core
from hpool.contrib.prometheus import OTHER, Collector
from tests.server.scripted import (
    close,
    expect,
    refused_port,
    respond,
    send,
    serve,
    until_closed,
)
from tests.tools import Call, until, until_waiting

OK = respond(b"ok")


@pytest.fixture
def registry():
    return CollectorRegistry()


def scrape(registry):
    """{(sample's name, labels but the client's, sorted): value}"""
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k != "client"}
            key = (sample.name, *sorted(labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


class Scrape:
    """value(name, label=...) adds up all samples that have these labels."""

    def __init__(self, registry):
        self.samples = scrape(registry)

    def __call__(self, name, **labels):
        return sum(
            value
            for (sample, *pairs), value in self.samples.items()
            if sample == name and labels.items() <= dict(pairs).items()
        )


def test_what_the_pool_holds(server, new_client, registry):
    go = threading.Event()
    slow = [expect(), send(OK[:-1], go, OK[-1:]), serve(OK)]
    s = server(slow, slow)
    host = f"127.0.0.1:{s.port}"
    client = new_client(limits=hpool.Limits(max_conns_per_host=2))
    with Collector(client, registry=registry):
        held = [client.get(s.url) for _ in range(2)]
        call = Call(lambda: client.get(s.url).read())
        until_waiting(client, 1)
        # A thread that waits tells of it a moment after the pool counts it.
        until(lambda: Scrape(registry)("hpool_requests_in_flight", host=host) == 3)
        value = Scrape(registry)
        assert value("hpool_connections", host=host, state="in_use") == 2
        assert value("hpool_connections") == 2
        assert value("hpool_requests_waiting", host=host) == 1
        go.set()
        for response in held:
            response.read()
        call.result()
        value = Scrape(registry)
        assert value("hpool_connections", host=host, state="idle") == 2
        assert value("hpool_requests_waiting") == 0
        assert value("hpool_requests_in_flight") == 0
        assert value("hpool_wait_seconds_count", host=host) == 1
        assert value("hpool_wait_seconds_bucket", host=host, le="+Inf") == 1
        waited = value("hpool_wait_seconds_sum", host=host)
        assert 0 < waited == client.stats().total.wait_seconds
        for bound, _ in client.stats().total.wait_histogram[:-1]:
            within = value("hpool_wait_seconds_bucket", le=str(bound))
            assert within == (waited <= bound)


def test_durations(server, new_client, registry):
    """By method and class of the status, each as long as the trace says."""
    answers = {"/": OK, "/404": respond(b"", 404), "/503": respond(b"", 503)}
    s = server([serve(lambda request: answers[request.target])])
    host = f"127.0.0.1:{s.port}"
    told = []
    client = new_client(trace=lambda event, info: told.append(info))
    with Collector(client, registry=registry):
        for path, method in (
            ("/", "GET"), ("/", "GET"), ("/404", "GET"), ("/503", "POST"), ("/", "BREW"),
        ):  # fmt: skip
            client.request(method, s.url + path, stream=False)
        value = Scrape(registry)
    name = "hpool_request_duration_seconds"
    assert value(f"{name}_count", host=host) == 5
    assert value(f"{name}_count", method="GET", status_class="2xx") == 2
    assert value(f"{name}_count", method="GET", status_class="4xx") == 1
    assert value(f"{name}_count", method="POST", status_class="5xx") == 1
    assert value(f"{name}_count", method=OTHER, status_class="2xx") == 1
    assert value(f"{name}_bucket", le="+Inf") == 5
    lasted = [info["duration"] for info in told if info["event"] == "request_done"]
    assert value(f"{name}_sum") == pytest.approx(sum(lasted))
    assert value("hpool_request_errors_total") == 0


def test_errors(server, new_client, registry):
    cut = respond(b"0123456789")[:-5]
    s = server([expect(), send(cut), close()], [expect(), until_closed()])
    client = new_client()
    with Collector(client, registry=registry), refused_port() as port:
        with pytest.raises(hpool.IncompleteRead):
            client.get(s.url, stream=False)
        with pytest.raises(hpool.ConnectError):
            client.get(f"http://127.0.0.1:{port}")
        with pytest.raises(hpool.ReadTimeout):
            client.get(s.url, timeout=hpool.Timeout(read=0.05))
        value = Scrape(registry)
    errors = {
        dict(pairs)["error"]: n
        for (name, *pairs), n in value.samples.items()
        if name == "hpool_request_errors_total"
    }
    assert errors == {"IncompleteRead": 1, "ConnectError": 1, "ReadTimeout": 1}
    name = "hpool_request_duration_seconds_count"
    assert value(name, status_class="error") == 3 == value(name)
    assert value(name, host=f"127.0.0.1:{port}") == 1
    assert (
        value("hpool_timeouts_total", phase="head")
        == 1
        == value("hpool_timeouts_total")
    )


def test_what_the_pool_counts(server, nginx, ca, new_client, registry):
    """All of it, as client.stats() has it, however the hosts come and go."""
    s = server(
        [expect(), send(OK), expect(), close()],
        [expect(), send(OK), expect(), send(OK)],
        [expect(), send(respond(b"x" * 9)[:-1]), until_closed()],
    )
    client = new_client(verify=ca.pem, limits=hpool.Limits(drain_bytes=0))
    with Collector(client, registry=registry):
        client.get(s.url, stream=False)
        client.get(s.url, stream=False)  # sent again
        client.get(s.url, stream=False)
        client.close_idle()
        client.get(s.url).close()  # not read to its end
        for _ in range(2):
            client.get(f"{nginx.https_url}/small", stream=False)
            client.close_idle()
        value = Scrape(registry)
        total = client.stats().total
    assert value("hpool_requests_total") == total.requests == 6
    assert value("hpool_dials_total") == total.dials == 5
    assert value("hpool_reuses_total") == total.reuses == 2
    assert value("hpool_lookups_total") == total.lookups
    assert value("hpool_tls_handshakes_total", kind="full") == 1
    assert value("hpool_tls_handshakes_total", kind="resumed") == 1
    closes = {
        reason: value("hpool_connections_closed_total", reason=reason)
        for reason in total.closes
    }
    assert {r: n for r, n in closes.items() if n} == total.closes.nonzero()
    assert len(total.closes.nonzero()) == 3
    assert value("hpool_replays_total", reason="lost_before_first_byte") == 1


@pytest.mark.filterwarnings("ignore:unclosed <Response:ResourceWarning")
def test_leaked(server, new_client, registry):
    s = server([expect(), send(respond(b"x" * 9)[:-1]), until_closed()])
    client = new_client()
    with Collector(client, registry=registry):
        client.get(s.url)
        assert Scrape(registry)("hpool_leaked_responses_total") == 1
        assert Scrape(registry)("hpool_requests_in_flight") == 0


def test_counters_never_go_backwards(server, new_client, registry):
    """Although the pool forgets a host without connections."""
    servers = [server(*[[serve(OK)]] * 9) for _ in range(3)]
    client = new_client()
    before = {}
    with Collector(client, registry=registry, max_hosts=2):
        for round in range(9):
            for s in servers[round % 2 :]:
                client.get(s.url, stream=False)
            if round % 3:
                client.close_idle()
            now = {
                key: n
                for key, n in scrape(registry).items()
                if key[0].endswith("_total")
            }
            for key, n in before.items():
                assert now[key] >= n, key
            before = now
        value = Scrape(registry)
        assert client.stats().hosts == {}
        assert value("hpool_requests_total") == 23
        hosts = {dict(key[1:])["host"] for key in value.samples}
        assert hosts == {f"127.0.0.1:{s.port}" for s in servers[:2]} | {OTHER}


# ---- registries --------------------------------------------------------------


def test_many_clients(server, new_client, registry):
    """In one registry, each metric once, with the samples of all."""
    s = server([serve(OK)], [serve(OK)])
    clients = [new_client(), new_client()]
    first = Collector(clients[0], "one", registry=registry)
    second = Collector(clients[1], "two", registry=registry)
    for client in clients:
        client.get(s.url, stream=False)
    text = generate_latest(registry).decode()
    assert text.count("# TYPE hpool_requests_total counter") == 1
    for name in ("one", "two"):
        assert f'hpool_requests_total{{client="{name}",host=' in text
    with pytest.raises(ValueError, match="a collector named 'one' already"):
        Collector(new_client(), "one", registry=registry)
    first.close()
    first.close()
    text = generate_latest(registry).decode()
    assert 'client="one"' not in text and 'client="two"' in text
    second.close()
    assert generate_latest(registry) == b""
    with Collector(clients[0], "two", registry=registry):
        assert b'client="two"' in generate_latest(registry)


def test_the_default_registry(server, new_client):
    s = server([serve(OK)])
    client = new_client()
    with Collector(client):
        client.get(s.url, stream=False)
        labels = {"client": "default", "host": f"127.0.0.1:{s.port}"}
        assert REGISTRY.get_sample_value("hpool_requests_total", labels) == 1
    assert REGISTRY.get_sample_value("hpool_requests_total", labels) is None


def test_without_a_registry(server, new_client, registry):
    s = server([serve(OK)])
    client = new_client()
    collector = Collector(client, registry=None)
    client.get(s.url, stream=False)
    registry.register(collector)
    assert Scrape(registry)("hpool_requests_total") == 1
    collector.close()
    assert client.trace is None


def test_refused_name_leaves_the_client_alone(new_client, registry):
    client = new_client()
    with Collector(new_client(), registry=registry):
        with pytest.raises(ValueError):
            Collector(client, registry=registry)
    assert client.trace is None


def test_client_is_pickled(new_client, registry):
    """The copy has no collector."""
    client = new_client()
    with Collector(client, registry=registry):
        with pickle.loads(pickle.dumps(client)) as copy:
            assert copy.trace is None
        assert client.trace is not None


def test_under_load(server, new_client, registry):
    """Scraped by two while eight threads use it: nothing goes backwards, and at the
    end all is counted."""
    s = server(*[[serve(OK)]] * 8)
    client = new_client(limits=hpool.Limits(max_conns_per_host=8))
    together = threading.Barrier(10)

    def work():
        together.wait(10)
        for _ in range(100):
            client.get(s.url, stream=False)

    def watch():
        together.wait(10)
        last = 0
        for _ in range(20):
            now = Scrape(registry)("hpool_requests_total")
            assert now >= last
            last = now

    with Collector(client, registry=registry):
        for call in [Call(work) for _ in range(8)] + [Call(watch) for _ in range(2)]:
            call.result(50)
        value = Scrape(registry)
    assert value("hpool_requests_total") == 800
    assert value("hpool_request_duration_seconds_count") == 800
    assert value("hpool_requests_in_flight") == 0


# ---- the dashboard and the rules ---------------------------------------------

CONTRIB = files("hpool.contrib")
DASHBOARD = json.loads((CONTRIB / "grafana-dashboard.json").read_text())
RULES = (CONTRIB / "alerts.yml").read_text()


def dashboard_expressions():
    targets = [t for panel in DASHBOARD["panels"] for t in panel.get("targets", ())]
    variables = DASHBOARD["templating"]["list"]
    found = [target["expr"] for target in targets]
    return found + [v["definition"] for v in variables if "definition" in v]


def rule_expressions():
    """Those of alerts.yml, folded lines included, without a YAML parser."""
    found = re.findall(r"(?m)^( +)(?:- )?expr:(?: \||) ?(.*\n(?:\1 +.*\n)*)", RULES)
    return [text for _, text in found]


@pytest.fixture(scope="module")
def exposition(request):
    """The text of a client that has met everything there is to count."""
    registry = CollectorRegistry()
    with hpool.Client() as client, Collector(client, registry=registry):
        yield generate_latest(registry).decode()


def labels_of(name):
    """What a metric's samples bear, from the module's docstring."""
    own = {
        "hpool_connections": {"state"},
        "hpool_request_duration_seconds": {"method", "status_class", "le"},
        "hpool_wait_seconds": {"le"},
        "hpool_request_errors_total": {"error"},
        "hpool_tls_handshakes_total": {"kind"},
        "hpool_connections_closed_total": {"reason"},
        "hpool_replays_total": {"reason"},
        "hpool_timeouts_total": {"phase"},
    }
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    return {"client", "host"} | own.get(name, own.get(base, set()))


def test_every_metric_that_is_named_exists(exposition):
    """And all that exist, but what nobody plots, are named."""
    exposed = dict(re.findall(r"(?m)^# TYPE (\w+) (\w+)$", exposition))
    names = set(exposed)
    for name, kind in exposed.items():
        if kind == "histogram":
            names |= {f"{name}_{suffix}" for suffix in ("bucket", "count", "sum")}
    expressions = dashboard_expressions() + rule_expressions()
    assert len(rule_expressions()) == RULES.count("alert:") > 5
    used = set()
    for expression in expressions:
        found = set(re.findall(r"hpool_\w+", expression))
        assert found and found <= names, expression
        used |= found
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in used}
    assert shown == set(exposed)


def test_every_label_that_is_named_exists():
    """In selectors and in by (...), and the reasons and phases that are compared
    with."""
    values = {"reason": _core._close_reasons, "phase": _core._phases}
    values["status_class"] = ("5xx",)
    for expression in dashboard_expressions() + rule_expressions():
        names = re.findall(r"hpool_\w+", expression)
        for name, selector in re.findall(r"(hpool_\w+)\{(.*?)\}", expression):
            for label, value in re.findall(r'(\w+)=~?"(.*?)"', selector):
                assert label in labels_of(name), expression
                if not value.startswith("$"):
                    assert set(value.split("|")) <= set(values[label]), expression
        for group in re.findall(r"by \((.*?)\)", expression):
            assert set(group.split(", ")) <= labels_of(names[0]), expression


def test_dashboard_is_one():
    """What Grafana's import asks for: ids and places of their own."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])
        }
        assert not cells & taken and at["x"] + at["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["title"] and panel["targets"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


# ---- promtool and Prometheus -------------------------------------------------


def promtool(*arguments, given=""):
    done = subprocess.run(
        ["promtool", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_accepts_the_rules():
    assert f"{RULES.count('alert:')} rules found" in promtool(
        "check", "rules", str(CONTRIB / "alerts.yml")
    )


def test_promtool_accepts_the_expressions(tmp_path):
    """Those of the dashboard, as rules, with Grafana's variables filled in."""
    rules = [
        {"record": f"r:{i}", "expr": re.sub(r"\[\$__rate_interval\]", "[5m]", e)}
        for i, e in enumerate(dashboard_expressions())
        if not e.startswith("label_values(")
    ]
    path = tmp_path / "rules.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


def test_promtool_accepts_the_metrics(server, new_client, registry):
    s = server([serve(OK)])
    client = new_client()
    with Collector(client, registry=registry):
        client.get(s.url, stream=False)
        text = generate_latest(registry).decode()
        assert openmetrics(registry).endswith(b"# EOF\n")
    assert promtool("check", "metrics", given=text) == ""
    assert "_created" not in text  # the counters of the pool have none either


def test_alerts_fire(tmp_path):
    """Each on the series made for it, and none on those of a healthy client."""
    promtool("test", "rules", str(write_alert_tests(tmp_path)))


def series(name, values, **labels):
    labels = {"client": "c", "host": "h:1", **labels}
    pairs = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{pairs}}}", "values": values}


def duration(values, **labels):
    """So many requests that took less than 0.1 s."""
    name = "hpool_request_duration_seconds"
    labels["method"] = "GET"
    buckets = [
        series(f"{name}_bucket", values, le=le, **labels) for le in ("0.1", "+Inf")
    ]
    return [*buckets, series(f"{name}_count", values, **labels)]


BUSY = "0+600x60"  # ten a second
SOME = "0+60x60"
NEVER = "0x60"
HEALTHY = [
    *duration(BUSY, status_class="2xx"),
    series("hpool_requests_total", BUSY),
    series("hpool_dials_total", "0+1x60"),
    series("hpool_requests_waiting", "0 5 0 3 " * 15),
    series("hpool_request_errors_total", "0+1x60", error="ReadTimeout"),
    series("hpool_timeouts_total", NEVER, phase="pool"),
    series("hpool_timeouts_total", SOME, phase="head"),
    series("hpool_queue_refused_total", NEVER),
    series("hpool_replays_total", "0+1x60", reason="nothing_written"),
    series("hpool_leaked_responses_total", NEVER),
    series("hpool_connections_closed_total", BUSY, reason="idle_timeout"),
    series("hpool_requests_lost_total", NEVER),
    series("hpool_no_descriptors_total", NEVER),
]
SICK = {
    "HpoolRequestsFail": [
        series("hpool_request_errors_total", SOME, error="ReadTimeout")
    ],
    "HpoolServerErrors": duration(BUSY, status_class="5xx"),
    "HpoolRequestsSlow": [
        series("hpool_request_duration_seconds_bucket", values, method="GET", le=le)
        for le, values in (("5", NEVER), ("10", BUSY), ("+Inf", BUSY))
    ],
    "HpoolRequestsWait": [series("hpool_requests_waiting", "1x60")],
    "HpoolPoolTimeouts": [series("hpool_timeouts_total", SOME, phase="pool")],
    "HpoolQueueFull": [series("hpool_queue_refused_total", SOME)],
    "HpoolConnectionsNotReused": [series("hpool_dials_total", BUSY)],
    "HpoolIdleCapTooLow": [
        series("hpool_connections_closed_total", SOME, reason="idle_cap_host")
    ],
    "HpoolStaleConnections": [
        series("hpool_replays_total", SOME, reason="lost_before_first_byte")
    ],
    "HpoolBodiesUnread": [
        series("hpool_connections_closed_total", SOME, reason="body_unread")
    ],
    "HpoolResponsesLeak": [series("hpool_leaked_responses_total", SOME)],
    "HpoolRequestsLost": [series("hpool_requests_lost_total", SOME)],
    "HpoolNoDescriptors": [series("hpool_no_descriptors_total", SOME)],
}


def write_alert_tests(folder):
    """A file for `promtool test rules`: each illness stands in for the healthy
    series of the same name."""
    assert set(SICK) == set(re.findall(r"alert: (\w+)", RULES))
    tests = []
    for ill, changed in [(None, []), *SICK.items()]:
        replaced = {entry["series"].partition("{")[0] for entry in changed}
        kept = [e for e in HEALTHY if e["series"].partition("{")[0] not in replaced]
        firing = [] if ill is None else [f'{{alertname="{ill}"}}']
        tests.append({
            "interval": "1m",
            "input_series": kept + changed,
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "50m",
                    "exp_samples": [{"labels": name, "value": 1} for name in firing],
                }
            ],
        })
    path = folder / "alerts_test.json"
    path.write_text(
        json.dumps({
            "rule_files": [str(CONTRIB / "alerts.yml")],
            "evaluation_interval": "1m",
            "tests": tests,
        })
    )
    return path


@contextmanager
def prometheus(folder, target):
    """A real one, on a port of its own choosing; its address."""
    config = {
        "scrape_configs": [
            {
                "job_name": "hpool",
                "scrape_interval": "200ms",
                "scrape_timeout": "200ms",
                "static_configs": [{"targets": [target]}],
            }
        ]
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:0",
            "--log.level=info",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    try:
        for line in process.stderr:
            lines.append(line)
            found = re.search(r'msg="Listening on" .*?address=(127\.0\.0\.1:\d+)', line)
            if found:
                break
        else:
            raise AssertionError("".join(lines))
        drain = Call(process.stderr.read)
        yield f"http://{found[1]}"
    finally:
        process.terminate()
        process.wait(10)
        if "drain" in locals():
            drain.result()
        process.stderr.close()


def test_a_real_prometheus(server, new_client, registry, tmp_path):
    """Scrapes us, and gives back, asked with hpool itself, what we had counted."""
    s = server([serve(OK)])
    client = new_client()
    watcher = new_client()
    with Collector(client, "payments", registry=registry):
        for _ in range(3):
            client.get(s.url, stream=False)
        exporter, thread = start_http_server(0, "127.0.0.1", registry)
        try:
            with prometheus(tmp_path, f"127.0.0.1:{exporter.server_port}") as url:

                def ask(query):
                    answer = watcher.get(
                        f"{url}/api/v1/query", params={"query": query}, stream=False
                    )
                    return answer.json()["data"]["result"]

                until(lambda: watcher.get(f"{url}/-/ready", stream=False).ok, 30)
                [sample] = until(lambda: ask("hpool_requests_total"), 30)
                rest = ask("hpool_request_duration_seconds_count")
        finally:
            exporter.shutdown()
            exporter.server_close()
            thread.join(10)
    assert sample["metric"]["client"] == "payments"
    assert sample["metric"]["host"] == f"127.0.0.1:{s.port}"
    assert sample["value"][1] == "3"
    assert [r["value"][1] for r in rest] == ["3"]
