"""A megabyte of JSON, and its codings by the libraries that hpool decodes with."""

import ctypes
import gzip
import json

CODINGS = ("gzip", "br", "zstd")


def text(size: int) -> bytes:
    """Records as an API would list them, `size` bytes of them."""
    rows: list[dict[str, object]] = []
    length = 0
    while length < size:
        i = len(rows)
        mixed = i * 2654435761 % 2**32
        row = {"id": i, "name": f"user {mixed:x}", "score": mixed % 1000 / 10}
        row |= {"email": f"user.{mixed % 9973}@example.com", "active": i % 3 > 0}
        rows.append(row)
        length += len(json.dumps(row)) + 2
    return json.dumps(rows).encode()[:size]


def coded(coding: str, plain: bytes) -> bytes:
    if coding == "gzip":
        return gzip.compress(plain)
    return brotli(plain) if coding == "br" else zstd(plain)


def brotli(plain: bytes) -> bytes:
    """Quality 5, which servers use that compress as they go."""
    library = ctypes.CDLL("libbrotlienc.so.1")
    out = ctypes.create_string_buffer(2 * len(plain))
    n = ctypes.c_size_t(len(out))
    size = ctypes.c_size_t(len(plain))
    assert library.BrotliEncoderCompress(5, 22, 0, size, plain, ctypes.byref(n), out)
    return out.raw[: n.value]


def zstd(plain: bytes) -> bytes:
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(2 * len(plain))
    sizes = (ctypes.c_size_t(len(part)) for part in (out, plain))
    capacity, size = sizes
    n = library.ZSTD_compress(out, capacity, plain, size, 3)
    assert not library.ZSTD_isError(n)
    return out.raw[:n]
