"""Where certificates are that can be trusted, for code that asks requests."""

from __future__ import annotations

import os

from ._tls import _certifi_file as _bundle

__all__ = ["where"]

_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def where() -> str:
    """The path of a bundle: certifi's if it is installed, else the system's.
    hpool itself asks in the other order. FileNotFoundError."""
    for path in (_bundle(), *_SYSTEM):
        if path is not None and os.path.isfile(path):
            return path
    raise FileNotFoundError("no certifi, and no bundle of the system is known")
