#!/usr/bin/env python3
"""The scenarios of the behaviour contract, S1 to S132, and the tests that show
them: `make scenarios` prints the table.

A Python test bears the numbers in its name (test_s17_s18_head); a C test in
its name or in the comment above it. A scenario without a test has a reason
here. The client layer's are counted only as far as tests exist.
"""

import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
LAST = 132
CLIENT_LAYER = {*range(75, 79), *range(117, 130)}

HTTP2 = "HTTP/2, which hpool does not speak"
LEFT_OUT = {
    38: HTTP2,
    43: HTTP2,
    55: "Go only: a prefix test that keeps a 408 out of Go's log; hpool logs"
    " nothing there and closes for any byte on an idle connection (S54)",
    63: "Go only: protocol handlers that decline a request; putting a body back"
    " to its start is shown by S57 and S59",
    66: HTTP2,
    112: "Go only: Request.Trailer; hpool sends no trailers",
    114: "Go only: the 200 ms probe of a body that may be empty; the head of a"
    " silent body goes out at once (S105)",
    131: HTTP2,
    132: "Go only: NewClientConn, a connection outside the pool; its"
    " cancel and early close are shown by S10 to S14 and S67 to S72",
}


def numbers_in(name):
    """test_s17_s18_head, or the numbers of a comment: S26, S33."""
    return [int(n) for n in re.findall(r"(?:^|[^a-z0-9])s(\d+)(?![0-9.])", name)]


def python_tests():
    for path in sorted(TESTS.glob("*/test_*.py")):
        for name in re.findall(r"^def (test_s\d\w*)", path.read_text(), re.M):
            # The first words that are numbers; not "test_s9_s_0".
            head = re.match(r"test((?:_s\d+)+)", name).group(1)
            for number in numbers_in(head.replace("_", " ")):
                yield number, f"{path.relative_to(TESTS)}::{name}"


C_COMMENT = re.compile(r"/\*((?:(?!\*/).)*?)\*/\s*static void\s+(test_\w+)\(", re.S)
C_NAME = re.compile(r"^(test_s\d+\w*)\(void\)", re.M)


def c_tests():
    for path in sorted(TESTS.glob("c/*_test.c")):
        text = path.read_text()
        where = path.relative_to(TESTS)
        for comment, name in C_COMMENT.findall(text):
            for number in re.findall(r"\bS(\d+)\b", comment):
                yield int(number), f"{where}::{name}"
        for name in C_NAME.findall(text):
            for number in numbers_in(re.sub("_", " ", name)):
                yield number, f"{where}::{name}"


def found():
    """{number: the tests that show it}"""
    table = {}
    for number, test in [*python_tests(), *c_tests()]:
        if test not in table.setdefault(number, []):
            table[number].append(test)
    return table


def rows():
    table = found()
    for number in range(1, LAST + 1):
        if number in table:
            yield number, table[number], ""
        elif number in LEFT_OUT:
            yield number, [], LEFT_OUT[number]
        elif number in CLIENT_LAYER:
            yield number, [], "of the client layer"
        else:
            yield number, [], "MISSING"


def main():
    shown = 0
    for number, tests, reason in rows():
        shown += bool(tests)
        for i, line in enumerate(tests or [f"({reason})"]):
            print(f"{f'S{number}' if i == 0 else '':5}{line}")
    missing = [n for n, _, reason in rows() if reason == "MISSING"]
    print(f"\n{shown} of {LAST} scenarios have tests, {len(missing)} are missing")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
