"""The response object of urllib3 over a response of hpool: what is called `raw`
in requests, and what its cookies, caches and dumps look into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import urllib3
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import HTTPError, ResponseNotChunked

from .. import errors
from .._redact import url_for_text
from ._urllib3_errors import of_body

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from urllib3.util.retry import Retry

    from .. import Response


class Body:
    """What urllib3's response reads the undecoded bytes from, and also what it
    calls the original response, as it is with urllib3's own connections.

    `msg` holds the headers (http.cookiejar asks it for get_all), `version` is
    10 or 11. It must have no attribute `fp`: urllib3 would take that for a
    stream of chunks still to be parsed.

    Closed as soon as the body is known to have ended, which is how urllib3
    finds out. Errors are urllib3's.
    """

    def __init__(
        self, response: Response, headers: HTTPHeaderDict, pool: Any, url: str
    ) -> None:
        self.response = response
        self.msg = headers
        self.version = response.version
        self.status = response.status
        self.reason = response.reason
        self.closed = False
        self._pool = pool
        self._url = url
        self._received = 0

    def read(self, amt: int | None = None) -> bytes:
        """`amt` bytes, fewer at the end or before an error, which the next
        read raises; all the rest without."""
        data = self._read(self.response.read, amt)
        if amt is None:
            self.closed = True
        return data

    def read1(self, amt: int | None = None) -> bytes:
        """What has arrived, at most `amt` bytes."""
        return self._read(self.response.read1, amt)

    def _read(
        self, read: Callable[[int | None], bytes], amt: int | None
    ) -> bytes:
        if self.closed:
            return b""
        try:
            data = read(amt)
        except errors.RequestException as error:
            raise self._theirs(error) from error
        self._received += len(data)
        if not data and amt != 0:
            self.closed = True
        return data

    def _theirs(self, error: errors.RequestException) -> HTTPError:
        shown = url_for_text(self._url)
        length = self.msg.get("Content-Length", "")
        return of_body(
            error,
            self._pool,
            shown,
            self._received,
            int(length) if length.isdigit() else None,
        )

    def close(self) -> None:
        """The connection goes back to the pool, or is closed if much of the
        body is left. From another thread, this ends a read at once."""
        self.closed = True
        self.response.close()

    def isclosed(self) -> bool:
        return self.closed

    def readable(self) -> bool:
        return True


class RawResponse(urllib3.HTTPResponse):
    """A urllib3.HTTPResponse whose bytes come from hpool.

    `hpool` is the hpool.Response below, with `timings`, `connection` and
    `trailers`; its body is read through this object only.
    """

    hpool: Response

    def stream(
        self, amt: int | None = 65536, decode_content: bool | None = None
    ) -> Generator[bytes]:
        """The body in pieces. A chunked one is passed on as it arrives, at
        most `amt` bytes at a time, and so is any without `amt`; else the
        pieces have `amt` bytes."""
        filled = amt is not None and not self.chunked
        # Caches put an object of theirs in place of _fp, and watch its read().
        if filled or not isinstance(self._fp, Body):
            yield from super().stream(amt, decode_content)
            return
        while amt != 0 and (piece := self.read1(amt, decode_content)):
            yield piece

    def read_chunked(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> Generator[bytes]:
        """The same for a body that is chunked."""
        if not self.chunked:
            raise ResponseNotChunked(
                "the response has no Transfer-Encoding: chunked"
            )
        return self.stream(amt, decode_content)

    def shutdown(self) -> None:
        """Ends a read that is blocked in another thread."""
        self.hpool.close()


def raw_response(
    response: Response,
    *,
    pool: Any,
    method: str,
    url: str,
    retries: Retry | None,
    preload_content: bool = False,
    decode_content: bool = False,
) -> RawResponse:
    """`response`, whose body has not been read and must not be decoded by
    hpool, as urllib3's. `pool` stands for the connection in errors' text."""
    headers = HTTPHeaderDict(response.headers.multi_items())
    body = Body(response, headers, pool, url)
    raw = RawResponse(
        body=body,  # type: ignore[arg-type]
        headers=headers,
        status=response.status,
        version=response.version,
        version_string=response.http_version,
        reason=response.reason,
        preload_content=preload_content,
        decode_content=decode_content,
        original_response=body,  # type: ignore[arg-type]
        pool=pool,
        retries=retries,
        request_method=method,
        request_url=url,
    )
    raw.hpool = response
    return raw
