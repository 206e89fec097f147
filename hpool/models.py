"""What is sent and what comes back, where code on requests may look for it."""

from __future__ import annotations

from ._core import Response
from .policy.redirects import STATUSES as REDIRECT_STATI
from .policy.request import PreparedRequest, Request, RequestHooksMixin
from .policy.settings import MAX_REDIRECTS as DEFAULT_REDIRECT_LIMIT

CONTENT_CHUNK_SIZE = 65536  # of iter_content()
ITER_CHUNK_SIZE = 65536

__all__ = [
    "CONTENT_CHUNK_SIZE",
    "DEFAULT_REDIRECT_LIMIT",
    "ITER_CHUNK_SIZE",
    "PreparedRequest",
    "REDIRECT_STATI",
    "Request",
    "RequestHooksMixin",
    "Response",
]
