"""What is measured: the table of cases, each with its goals."""

from dataclasses import dataclass, replace
from typing import Any

SMALL = 13
BIG = 100_000_000
LINES = BIG // 80


@dataclass(frozen=True)
class Goal:
    """The ratio of the times of `of` and `over`, of another case if one is named
    (`case:peer`)."""

    of: str
    over: str
    how: str  # "at most" or "at least"
    figure: float

    def met(self, ratio: float) -> bool:
        return ratio <= self.figure if self.how == "at most" else ratio >= self.figure


@dataclass(frozen=True)
class Case:
    """`does` names the function of each peer's module, `limit` the program and
    its arguments."""

    name: str
    title: str
    server: str  # "c", "http" or "https": the latter two are nginx
    path: str
    size: int
    does: str
    limit: str
    peers: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    note: str = ""
    count: int = 1
    anew: bool = False  # a new connection for each slice
    slices: int = 5  # of a round: a disturbance shorter than a round hits all
    slice_ms: float = 20  # of each peer, as far as turns can be cut
    turns_max: int = 2000

    def small(self) -> "Case":
        """The same with a body that takes no time, to see that all runs."""
        return replace(self, size=self.size // 100) if self.size >= LINES else self


def at_most(figure: float, over: str = "limit", of: str = "hpool") -> Goal:
    return Goal(of, over, "at most", figure)


def faster_than(peer: str, times: float) -> Goal:
    return Goal(peer, "hpool", "at least", times)


ALL = (
    "hpool",
    "pycurl",
    "pyreqwest",
    "go",
    "raw",
    "http_client",
    "aiohttp",
    "curl_cffi",
    "urllib3",
    "niquests",
    "httpx",
    "httpx2",
    "requests",
)

AS_FAST_OVER_TLS = Goal("limit", "hpool", "at least", 0.95)


def big(name: str, title: str, *, server: str = "http", **more: Any) -> Case:
    more = {"path": "/100MB", "size": BIG, "anew": True, "slices": 1, **more}
    return Case(f"100MB-{name}", title, server, **more)


CASES = [
    Case(
        name="get",
        title="kept GET, 13 bytes",
        server="c",
        path="/small",
        size=SMALL,
        does="kept",
        limit="get do=ping",
        peers=ALL,
        goals=(
            at_most(1.25),
            faster_than("pycurl", 2),
            faster_than("pyreqwest", 2),
            faster_than("go", 2),
            faster_than("requests", 20),
        ),
        note="The limit is one send and one recv of hpool's own request bytes.",
    ),
    Case(
        name="get-nginx",
        title="kept GET, 13 bytes, nginx",
        server="http",
        path="/small",
        size=SMALL,
        does="kept",
        limit="get do=ping",
        peers=ALL,
    ),
    Case(
        name="call",
        title="GET without a client, 13 bytes",
        server="c",
        path="/small",
        size=SMALL,
        does="call",
        limit="get do=ping",
        peers=("hpool", "pyreqwest", "requests", "httpx", "httpx2"),
        goals=(
            at_most(1.5),
            faster_than("requests", 30),
            faster_than("httpx", 800),
        ),
        note="hpool.get(url), requests.get(url), ...: hpool keeps one pool for the"
        " whole process, the others make a client for each call.",
    ),
    Case(
        name="get-tls",
        title="kept GET, 13 bytes, TLS, nginx",
        server="https",
        path="/small",
        size=SMALL,
        does="kept",
        limit="get do=ping",
        peers=ALL,
        goals=(at_most(1.3),),
        note="The limit is SSL_write and SSL_read of the libssl that hpool uses.",
    ),
    Case(
        name="10kB",
        title="kept GET, 10 kB",
        server="http",
        path="/10kB",
        size=10_000,
        does="kept",
        limit="get do=fresh",
        peers=ALL,
        goals=(at_most(1.3),),
        note="The limit receives into memory that it allocates for each body.",
    ),
    Case(
        name="1MB",
        title="GET 1 MB",
        server="http",
        path="/1MB",
        size=1_000_000,
        does="kept",
        limit="get do=fresh",
        peers=ALL,
        goals=(at_most(1.15),),
        anew=True,
        note="As with 10 kB, on a new connection for each slice of a round.",
    ),
    big(
        "into",
        "100 MB, readinto",
        does="into",
        limit="get do=into buffer=1048576",
        peers=("hpool", "raw", "go", "http_client", "urllib3"),
        goals=(at_most(1.1),),
        note="Through one buffer of 1 MiB.",
    ),
    big(
        "content",
        "100 MB, content",
        does="kept",
        limit="get do=fresh",
        peers=ALL,
        goals=(at_most(1.15),),
        note="The limit receives into fresh memory, for which it asks for huge pages.",
    ),
    big(
        "chunks",
        "100 MB, iter_bytes",
        does="chunks",
        limit="get do=into buffer=65536",
        peers=ALL,
        goals=(at_most(1.15),),
        note="Pieces of 64 KiB, or as the library likes. The limit receives into one"
        " buffer of that size.",
    ),
    replace(
        big(
            "lines",
            "100 MB, iter_lines",
            does="iter_lines",
            limit="get do=lines",
            peers=("hpool", "http_client", "httpx", "httpx2", "requests"),
            goals=(faster_than("requests", 4),),
            note="Lines of 80 bytes. The limit only finds them. httpx decodes them, too.",
        ),
        path="/lines",
        size=LINES,
    ),
    big(
        "into-tls",
        "100 MB, readinto, TLS",
        does="into",
        limit="get do=into buffer=1048576",
        peers=("hpool", "raw", "go", "http_client", "urllib3"),
        goals=(AS_FAST_OVER_TLS,),
        server="https",
    ),
    big(
        "content-tls",
        "100 MB, content, TLS",
        does="kept",
        limit="get do=fresh",
        peers=ALL,
        goals=(AS_FAST_OVER_TLS,),
        server="https",
    ),
]
