"""Responses go to hpool, h11 and httptools (which is llhttp). What hpool accepts
and both others refuse, or read otherwise, is a failure, unless a REASON takes
it away.

    python -m tests.differential.differ [CASES [SEED]]

What hpool refuses and others accept is counted and no failure: strictness is
free to differ.
"""

import re
import sys
from collections import Counter
from itertools import chain
from typing import NamedTuple

from . import cases, readers
from .readers import Case

BATCH = 2000


class Reason(NamedTuple):
    """Rewrites what hpool tolerates into what nobody disputes. A difference is
    justified if hpool reads both alike, and one of the others agrees with that
    reading of the rewritten case."""

    rfc: str
    words: str
    example: bytes  # cannot do without this reason
    rules: tuple  # of (pattern, replacement)
    in_body: bool = False  # else in the heads only
    needs: bytes = b""  # something in the final head


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# In this order.
REASONS = {
    "empty lines before the status line": Reason(
        "RFC 9112 2.2",
        "a server left them behind its last body; two at most (llhttp agrees, h11 not)",
        b"\r\nHTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
        ((rb"(?:\A|(?<=\r\n\r\n))(?:\r\n){1,2}(?=HTTP/)", rb""),),
    ),
    "folds in what is rewritten below": Reason(
        "RFC 9112 5.2",
        "a user agent must replace each fold by spaces (h11 agrees, llhttp not)",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding:\r\n x\r\nContent-Length: 0\r\n\r\n",
        ((rb"(?:[ \t]*\r\n[ \t])+[ \t]*", rb" "),),
    ),
    "spaces before the status": Reason(
        "RFC 9112 4",
        "recipients may parse on whitespace-delimited word boundaries; servers "
        "are known to send two (Go issue 19989)",
        b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        ((rb"(?m)^(HTTP/1\.\d) {2,}(?=\d\d\d[ \r])", rb"\1 "),),
    ),
    "a coding in HTTP/1.0": Reason(
        "RFC 9112 6.1",
        "the field has no meaning there; the body is framed by length or close, "
        "and the connection is closed after it; chunked is refused",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: x\r\nContent-Length: 0\r\n\r\n",
        (
            (
                rb"(?i)(HTTP/1\.0[^\r\n]*\r\n(?:[^\r\n]+\r\n)*?)"
                rb"Transfer-Encoding:[^\r\n]*\r\n",
                rb"\1",
            ),
        ),
    ),
    "empty members of Transfer-Encoding": Reason(
        "RFC 9110 5.6.1.2",
        "a recipient must parse and ignore empty list members; beside a "
        "Content-Length they are refused all the same",
        CHUNKED.replace(b"chunked", b"chunked,") + b"0\r\n\r\n",
        (
            (rb"(?mi)^Transfer-Encoding:[ \t,]*\r\n", rb""),
            (
                rb"(?mi)^(Transfer-Encoding:)[ \t]*(?:,[ \t]*)*(chunked)[ \t]*(?:,[ \t]*)*\r$",
                rb"\1 \2\r",
            ),
        ),
    ),
    "framing fields in trailers": Reason(
        "RFC 9110 6.5.1",
        "they come too late to be obeyed, are not merged and not shown",
        CHUNKED + b"0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n",
        ((rb"(?mi)^(?:Transfer-Encoding|Content-Length):[^\r\n]*\r\n", rb""),),
        in_body=True,
        needs=rb"(?i)chunked",
    ),
    "white space before a chunk extension": Reason(
        "RFC 9112 7.1.1",
        "chunk-ext begins with BWS, which a recipient must parse and remove",
        CHUNKED + b"1 ;a\r\nx\r\n0\r\n\r\n",
        ((rb"(?m)^([0-9A-Fa-f]{1,16})[ \t]+(?=;)", rb"\1"),),
        in_body=True,
        needs=rb"(?i)chunked",
    ),
}


def divide(data):
    """Interim heads, the final one, and what is behind it."""
    begin = 0
    while True:
        text = re.compile(rb"[^\r\n]").search(data, begin)
        end = data.find(b"\r\n\r\n", text.start() if text else begin) + 4
        if end < 4:
            return data[:begin], data[begin:], b""
        if not re.match(rb"\s*HTTP/1\.\d +1\d\d", data[begin:]):
            return data[:begin], data[begin:end], data[end:]
        begin = end


def everywhere(pattern, replacement, data):
    """Also what a first replacement has laid open."""
    before = None
    while data != before:
        before, data = data, re.sub(pattern, replacement, data)
    return data


def rewritten(data, reasons=REASONS):
    """(data, names of the reasons that changed it)"""
    used = set()
    for name, reason in reasons.items():
        interims, final, body = divide(data)
        if not re.search(reason.needs, final):
            continue
        heads = interims + final
        for rule in reason.rules:
            if reason.in_body:
                body = everywhere(*rule, body)
            else:
                heads = everywhere(*rule, heads)
        if heads + body != data:
            used.add(name)
        data = heads + body
    return data, used


def others(case):
    return readers.read_h11(case), readers.read_httptools(case)


def judge(batch, totals, used, reasons=REASONS):
    """Yields (case, hpool's reading, the others') for what no reason covers."""
    disputed = []
    for case, (reading, _) in zip(batch, readers.hpool(batch), strict=True):
        both = others(case)
        accepted = (reading is not None, *(other is not None for other in both))
        totals[accepted] += 1
        if reading is not None and reading not in both:
            disputed.append((case, reading, both))
    rewrites = [rewritten(case.data, reasons) for case, *_ in disputed]
    plain = [
        Case(data, *case[1:]) for (data, _), (case, *_) in zip(rewrites, disputed, strict=True)
    ]
    again = [reading for reading, _ in readers.hpool(plain)]
    for (*failure,), (_, names), simple, second in zip(
        disputed, rewrites, plain, again, strict=True
    ):
        reading = failure[1]
        if names and second == reading and reading in others(simple):
            used.update(names)
            totals["justified"] += 1
        else:
            yield failure


def batches(all_cases):
    batch = []
    for case in all_cases:
        batch.append(case)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def run(n, seed):
    """(failures, how often which of the three accept, uses of each reason)"""
    failures, totals, used = [], Counter(), Counter()
    examples = (Case(reason.example) for reason in REASONS.values())
    for batch in batches(chain(examples, cases.cases(seed, n))):
        failures += judge(batch, totals, used)
    return failures, totals, used


def describe(failure):
    case, reading, both = failure
    return (
        f"{case}\n  hpool      {reading}\n  h11        {both[0]}\n  httptools  {both[1]}\n"
    )


def main(n="100000", seed="1"):
    readers.build()
    failures, totals, used = run(int(n), int(seed))
    for failure in failures[:20]:
        print(describe(failure))
    justified = totals.pop("justified", 0)
    print(f"{totals.total():,} cases, {len(failures)} failures, {justified} justified:")
    for name, reason in REASONS.items():
        print(f"  {used[name]:7,}  {name} ({reason.rfc})")
    print("accepted by hpool, h11, httptools:")
    for accepted, times in sorted(totals.items(), reverse=True):
        print(f"  {times:7,}  {' '.join('yes' if yes else 'no' for yes in accepted)}")
    idle = [name for name in REASONS if not used[name]]
    if idle:
        print("reasons that no case needs:", *idle, sep="\n  ")
    return bool(failures or idle)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
