"""Flattens tests/corpus/responses.jsonl for corpus_test.c.

    python3 tests/c/gen_corpus.py ROWS.jsonl OUT.bin

All numbers are little-endian. The file: b"HPC1", u32 number of rows, rows.
A row: i32 status (-1: any), six u8 (then_close, expect, prefer, reusable,
has_headers, has_body; values below), then five blobs, each a u32 length and
its bytes: id, request method, the server's bytes, headers, body. Headers are
lines "name:value\\n", names in lower case, runs of white space in values
collapsed, without the two fields that may be normalised.
"""

import base64
import json
import os
import re
import struct
import sys

EXPECT = {"ok": 0, "error": 1, "either": 2}
PREFER = {None: 0, "ok": 1, "error": 2}
REUSABLE = {False: 0, True: 1, None: 2}
NORMALISED = {"content-length", "transfer-encoding"}


def blob(data):
    return struct.pack("<I", len(data)) + data


def header_lines(headers):
    lines = []
    for name, value in headers or []:
        value = re.sub(r"[ \t\r\n]+", " ", value).strip(" ")
        if name.lower() not in NORMALISED:
            lines.append(f"{name.lower()}:{value}\n")
    return "".join(lines).encode("latin-1")


def record(row):
    status = -1 if row["status"] is None else row["status"]
    flags = (
        row["then"] == "close",
        EXPECT[row["expect"]],
        PREFER[row["prefer"]],
        REUSABLE[row["reusable"]],
        row["headers"] is not None,
        row["body_b64"] is not None,
    )
    return (
        struct.pack("<i6B", status, *flags)
        + blob(row["id"].encode())
        + blob(row["request_method"].encode())
        + blob(base64.b64decode(row["bytes_b64"]))
        + blob(header_lines(row["headers"]))
        + blob(base64.b64decode(row["body_b64"] or ""))
    )


def main(source, target):
    with open(source, encoding="utf-8") as f:
        rows = [record(json.loads(line)) for line in f]
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    with open(target, "wb") as f:
        f.write(b"HPC1" + struct.pack("<I", len(rows)) + b"".join(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
