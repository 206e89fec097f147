"""What is measured: the table of cases, each with its goals."""

from dataclasses import dataclass, replace
from typing import Any

SMALL = 13
BIG = 100_000_000
LINES = BIG // 80
MANY = 1000


@dataclass(frozen=True)
class Goal:
    """The time of `of` in times that of `over`; or in microseconds (`over` is
    ""); or, `more`, the milliseconds by which it is longer."""

    of: str
    over: str
    how: str  # "at most" or "at least"
    figure: float
    more: bool = False

    def values(self, times: dict[str, list[float]]) -> list[float]:
        """For each round."""
        if not self.over:
            return [ns / 1e3 for ns in times[self.of]]
        pairs = zip(times[self.of], times[self.over], strict=True)
        return [(a - b) / 1e6 if self.more else a / b for a, b in pairs]

    def met(self, value: float) -> bool:
        return value <= self.figure if self.how == "at most" else value >= self.figure

    @property
    def unit(self) -> str:
        if not self.over:
            return " us"
        return " ms more" if self.more else ""


@dataclass(frozen=True)
class Case:
    """`does` names the function of each peer's module; a peer may be written
    `module:function` to do another. `limit` is the program and its arguments,
    or "" if there is nothing to compare with."""

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
    or_limit: str = ""  # another way, which may be faster: in each round the faster is
    asks: str = "kept"  # what hpool does to show the bytes of the limit's request
    upload: int = 0  # bytes to send
    coding: str = ""  # what the server has compressed the body with
    roots: bool = False  # trust all that are commonly trusted, not only one
    count: int = 1
    anew: bool = False  # a new connection for each slice
    addresses: int = 1  # to spread new connections over
    slices: int = 5  # of a round: a disturbance shorter than a round hits all
    slice_ms: float = 20  # of each peer, as far as turns can be cut
    turns_max: int = 2000

    def small(self) -> "Case":
        """The same with bodies that take no time, to see that all runs."""
        if self.count >= MANY:
            return replace(self, count=self.count // 100)
        if self.upload >= LINES:
            n = self.upload // 100
            return replace(self, upload=n, size=len(str(n)))
        return replace(self, size=self.size // 100) if self.size >= LINES else self

    @property
    def base(self) -> str:
        """Whose time the others' are shown in."""
        return "limit" if self.limit else self.peers[0]


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


def decoding(coding: str, *peers: str) -> Case:
    return Case(
        coding,
        f"GET 1 MB of JSON, {coding}",
        server="http",
        path=f"/{coding}.json",
        size=1_000_000,
        does="decoded",
        coding=coding,
        limit=f"decode coding={coding}",
        peers=("hpool", *peers),
        goals=(at_most(1.1),),
        note="The limit receives what is compressed and has the library alone decompress"
        " it at once.",
    )


ANEW = tuple(name for name in ALL if name != "raw")
NO_FILES = ("pyreqwest", "raw", "curl_cffi")


def connecting(name: str, title: str, **more: Any) -> Case:
    at = {"server": "c", "path": "/small", "size": SMALL, "limit": "connect"}
    return Case(name, title, anew=True, addresses=16, **{**at, **more})


def sharing(count: int) -> Case:
    """Threads with one client."""
    return Case(
        f"threads-{count}",
        f"{count} threads, one client",
        server="c",
        path="/small",
        size=SMALL,
        does="threads",
        limit=f"get do=ping threads={count}",
        count=count,
        peers=("hpool", "hpool:kept", *SHARING),
        goals=(
            Goal("limit", "hpool", "at least", 0.6),
            Goal("hpool:kept", "hpool", "at least", 1),
        ),
        slice_ms=50,
        turns_max=10_000,
        note="Times are of a request, all threads together. The limit: as many threads,"
        " each with a connection.",
    )


SHARING = (
    "pycurl",
    "pyreqwest",
    "go",
    "http_client",
    "urllib3",
    "niquests",
    "httpx",
    "httpx2",
    "requests",
)

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
        name="call-tls",
        title="GET without a client, 13 bytes, TLS",
        server="https",
        path="/small",
        size=SMALL,
        does="call",
        limit="get do=ping",
        peers=("hpool", "requests", "httpx", "httpx2"),
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
        or_limit="get do=fresh huge=1",
        peers=ALL,
        goals=(at_most(1.15),),
        note="The limit receives into fresh memory, with huge pages or without, whatever"
        " is faster in that round.",
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
        or_limit="get do=fresh huge=1",
        peers=ALL,
        goals=(AS_FAST_OVER_TLS,),
        server="https",
    ),
    connecting(
        "connect",
        "new connection for each GET",
        does="connect",
        asks="connect",
        peers=ALL,
        goals=(at_most(1.2),),
        note="The loopback addresses are rotated. hpool: disable_keepalives.",
    ),
    connecting(
        "connect-tls",
        "new TLS connection for each GET",
        server="https",
        does="connect",
        peers=("hpool:anew", *ALL[1:]),
        goals=(at_most(1.2, of="hpool:anew"),),
        note="Full handshakes, one trusted root. hpool: a client for each, since a"
        " client resumes.",
    ),
    connecting(
        "resume-tls",
        "resumed TLS connection for each GET",
        server="https",
        does="resume",
        asks="connect",
        limit="connect resume=1",
        peers=("hpool", "pycurl", "pyreqwest", "go", "raw"),
        goals=(at_most(1.2),),
    ),
    connecting(
        "client-tls",
        "a new client's first GET, TLS",
        server="https",
        does="anew",
        roots=True,
        peers=ANEW,
        goals=(at_most(1.2),),
        note="The common roots are trusted (certifi's, and one). The limit has read them"
        " once and shares its SSL_CTX.",
    ),
    Case(
        "client",
        "a client, made and closed",
        server="c",
        path="/small",
        size=0,
        does="client",
        limit="",
        peers=("hpool", *(name for name in ANEW if name not in ("go", "http_client"))),
        goals=(Goal("hpool", "", "at most", 20),),
    ),
    *(sharing(count) for count in (2, 8, 64)),
    Case(
        "limited",
        "8 threads, 10 ms delay, 4 connections",
        server="c",
        path="/delay/10",
        size=SMALL,
        does="limited",
        limit="get do=ping threads=4",
        count=8,
        peers=("hpool", "pyreqwest", "go", "urllib3", "httpx", "httpx2"),
        goals=(at_most(1.03),),
        slices=1,
        slice_ms=300,
        note="hpool: max_conns_per_host=4. The limit: four threads, each with a"
        " connection.",
    ),
    Case(
        "post",
        "POST 1 kB",
        server="c",
        path="/post",
        size=len("1000"),
        does="post",
        asks="post",
        upload=1000,
        limit="get do=ping",
        peers=ALL,
        goals=(at_most(1.3),),
    ),
    Case(
        "post-file",
        "POST 100 MB from a file",
        server="c",
        path="/post",
        size=len(str(BIG)),
        does="post_file",
        asks="post_file",
        upload=BIG,
        limit="upload buffer=262144",
        anew=True,
        slices=1,
        peers=tuple(name for name in ALL if name not in NO_FILES),
        goals=(Goal("limit", "hpool", "at least", 0.9),),
    ),
    Case(
        "hosts",
        "kept GET, connections to 1, 100, 10,000 hosts",
        server="c",
        path="/small",
        size=SMALL,
        does="one_host",
        limit="",
        peers=("hpool:one_host", "hpool:some_hosts", "hpool:many_hosts"),
        goals=(
            at_most(1.15, "hpool:one_host", "hpool:some_hosts"),
            at_most(1.15, "hpool:one_host", "hpool:many_hosts"),
        ),
        count=10_000,
        note="One host is asked, while all have a connection.",
    ),
    Case(
        "idle",
        "kept GET, 1 and 10,000 idle connections",
        server="c",
        path="/small",
        size=SMALL,
        does="one_idle",
        limit="",
        peers=("hpool:one_idle", "hpool:many_idle"),
        goals=(at_most(1.15, "hpool:one_idle", "hpool:many_idle"),),
        count=10_000,
        note="All to the host that is asked.",
    ),
    decoding("gzip", *(name for name in ALL[1:] if name != "raw")),
    decoding("br", "pycurl", "pyreqwest", "curl_cffi"),
    decoding("zstd", "pyreqwest", "curl_cffi"),
    Case(
        "import",
        "import",
        server="c",
        path="/small",
        size=0,
        does="imported",
        limit="",
        peers=("bare", *(name for name in ALL if name not in ("go", "raw"))),
        goals=(Goal("hpool", "bare", "at most", 8, more=True),),
        slices=1,
        note="A Python is started to import it, and a bare one that imports nothing.",
    ),
]
