"""What urllib3's pools say about TLS, as hpool's verify=, cert= and tls=."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

from urllib3.util.ssl_ import resolve_cert_reqs, resolve_ssl_version

from .. import TLS
from .._tls import UNVERIFIED, context_authorities, context_protocol

if TYPE_CHECKING:
    from typing import Any

# The keywords of urllib3's pools that say something about TLS.
KEYWORDS = (
    "cert_reqs",
    "ca_certs",
    "ca_cert_dir",
    "ca_cert_data",
    "cert_file",
    "key_file",
    "key_password",
    "ssl_context",
    "ssl_version",
    "ssl_minimum_version",
    "ssl_maximum_version",
    "server_hostname",
    "assert_hostname",
    "assert_fingerprint",
)


class Unsupported(ValueError):
    """A setting of urllib3's that hpool has nothing for; the text names it."""


class Trust(NamedTuple):
    """hpool's arguments; None is "what the client says"."""

    verify: Any
    cert: Any
    tls: TLS | None

    @property
    def insecure(self) -> bool:
        pinned = self.tls is not None and self.tls.fingerprint is not None
        return self.verify is UNVERIFIED and not pinned


NO_TRUST = Trust(None, None, None)


def trust(settings: dict[str, Any]) -> Trust:
    """`settings` has all of KEYWORDS, None for what was not given.

    Unsupported naming the setting. Reads the CA file if it has to be joined
    with other authorities.
    """
    context = settings["ssl_context"]
    fields = _protocol(settings) | _names(settings)
    if context is not None:
        fields = _given(context_protocol(context)) | fields
    try:
        tls = TLS(**fields) if fields else None
    except ValueError as error:  # a fingerprint by MD5 or SHA-1
        raise Unsupported(str(error)) from error
    return Trust(_verify(settings), _cert(settings), tls)


# ---- whom to trust -----------------------------------------------------------


def _verify(settings: dict[str, Any]) -> Any:
    if not _is_wanted(settings["cert_reqs"], settings["ssl_context"]):
        return UNVERIFIED
    if settings["assert_hostname"] is False:
        return UNVERIFIED  # but for the fingerprint that goes with it
    path = settings["ca_certs"] or settings["ca_cert_dir"]
    pems = []
    if settings["ca_cert_data"]:
        pems.append(_pem(settings["ca_cert_data"]))
    if settings["ssl_context"] is not None:
        pems.append(context_authorities(settings["ssl_context"]))
    pems = list(filter(None, pems))
    if not pems:
        return path  # None: what the client says
    if settings["ca_certs"]:
        with open(settings["ca_certs"], "rb") as file:
            pems.append(file.read())
    return b"\n".join(pems)


def _is_wanted(cert_reqs: Any, context: Any) -> bool:
    if cert_reqs is None and context is not None:
        return bool(context.verify_mode != ssl.CERT_NONE)
    return resolve_cert_reqs(cert_reqs) != ssl.CERT_NONE


def _pem(data: str | bytes) -> bytes:
    if isinstance(data, str):
        return data.encode()
    return ssl.DER_cert_to_PEM_cert(data).encode()


def _cert(settings: dict[str, Any]) -> Any:
    """cert= takes what belongs to it together."""
    if not settings["cert_file"]:
        return None
    cert = (
        settings["cert_file"],
        settings["key_file"],
        settings["key_password"],
    )
    return cert if any(cert[1:]) else cert[0]


# ---- how to speak, and whose name to expect ----------------------------------


def _protocol(settings: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "min_version": settings["ssl_minimum_version"],
        "max_version": settings["ssl_maximum_version"],
    }
    version = settings["ssl_version"]
    if version is not None:
        fields.update(_one_version(resolve_ssl_version(version)))
    return _given(fields)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _one_version(version: int) -> dict[str, str]:
    if version in (ssl.PROTOCOL_TLS, ssl.PROTOCOL_TLS_CLIENT):
        return {}
    if version == ssl.PROTOCOL_TLSv1_2:
        return {"min_version": "TLSv1.2", "max_version": "TLSv1.2"}
    raise Unsupported(
        "ssl_version: hpool speaks TLS 1.2 and 1.3, and nothing older"
    )


def _names(settings: dict[str, Any]) -> dict[str, Any]:
    """hpool asks for the name that it verifies, so one of the two is enough
    and two that differ are not on offer."""
    asserted, asked = settings["assert_hostname"], settings["server_hostname"]
    fingerprint = settings["assert_fingerprint"]
    if asserted is False and not fingerprint:
        raise Unsupported(
            "assert_hostname=False: hpool does not verify a certificate "
            "without its name; give assert_fingerprint= or server_hostname="
        )
    if asserted and asked and asserted != asked:
        raise Unsupported(
            "assert_hostname differs from server_hostname: hpool verifies the "
            "name that it asks for"
        )
    return _given({
        "server_hostname": asserted or asked,
        "fingerprint": fingerprint,
    })
