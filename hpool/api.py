"""The verbs of the module, where code on requests may look for them."""

from __future__ import annotations

from ._core import delete, get, head, options, patch, post, put, request

__all__ = [
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
]
