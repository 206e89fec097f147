"""From verify=, cert=, tls= and the environment to what the core needs.

Runs once per client, at its first https request, and once for each different
set of per-call arguments. Nothing of ssl or certifi is imported: a context is
read by its methods, certifi's file is found without running its code.
"""

from __future__ import annotations

import os
from typing import Any, Final, NamedTuple

from .config import TLS
from .errors import InsecureRequestWarning, InvalidArgument, SSLError


# For verify=: not verified, and who says so warns of it himself.
UNVERIFIED: Final = object()


class Resolved(NamedTuple):
    """The core's arguments, in its order; None is "not given"."""

    verify: bool
    ca_file: str | None = None
    ca_dir: str | None = None
    ca_pem: bytes | None = None
    fallback_ca_file: str | None = None  # when the system's store is empty
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = None
    min_version: int = 0  # 0x0303 is 1.2, 0x0304 is 1.3, 0 the default
    max_version: int = 0
    ciphers: str | None = None
    ciphersuites: str | None = None
    groups: str | None = None
    keylog_file: str | None = None
    fingerprint: bytes | None = None
    server_hostname: str | None = None
    alpn: bytes | None = None  # as on the wire
    warns: bool = False  # nothing is verified, and nobody else says so


def resolve(
    verify: object, cert: object, tls: TLS | None, trust_env: bool
) -> Resolved:
    """What to trust, who to be and how to speak.

    verify     True, False, a file, a directory, PEM bytes, an ssl.SSLContext
    cert       None, a path, (cert, key) or (cert, key, password)
    tls        hpool.TLS or None; what it says beats what a context says
    trust_env  read REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE and
               SSL_CERT_DIR if verify is True, and SSLKEYLOGFILE

    SSLError naming the argument or variable when a file is missing, TypeError
    or InvalidArgument for what cannot be meant.
    """
    fields: dict[str, Any] = _trust(verify, trust_env)
    fields.update(_identity(cert))
    fields.update(_settings(tls))
    if trust_env:
        fields["keylog_file"] = os.environ.get("SSLKEYLOGFILE") or None
    pinned = fields.get("fingerprint") is not None
    fields["warns"] = not (
        fields["verify"] or pinned or verify is UNVERIFIED
    )
    return Resolved(**fields)


def warn_unverified(host: str) -> None:
    """Once for each host of a client, before anything is sent to it."""
    import sys
    import warnings

    level, frame = 2, sys._getframe(1)
    while _is_ours(frame.f_globals) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(
        f"verify=False: the certificate of {host} is not checked, so anybody "
        "on the way can read and change what is sent",
        InsecureRequestWarning,
        stacklevel=level,
    )


def _is_ours(names: dict[str, Any]) -> bool:
    package, _, _ = str(names.get("__name__")).partition(".")
    return package == "hpool"


# ---- trust -------------------------------------------------------------------


def _trust(verify: object, trust_env: bool) -> dict[str, Any]:
    if verify is None or verify is True:
        return _environment_trust() if trust_env else _system_trust()
    if verify is False or verify is UNVERIFIED:
        return {"verify": False}
    if isinstance(verify, (bytes, bytearray)):
        return _pem_trust(bytes(verify))
    if isinstance(verify, (str, os.PathLike)):
        return _path_trust("verify", os.fspath(verify))
    if hasattr(verify, "get_ca_certs") and hasattr(verify, "verify_mode"):
        return _context_trust(verify)
    raise TypeError(
        "verify takes True, False, a path, PEM bytes or an ssl.SSLContext, "
        f"not {type(verify).__name__}"
    )


def _environment_trust() -> dict[str, Any]:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = os.environ.get(name)
        if path:
            return _path_trust(name, path)
    found: dict[str, Any] = {}
    path = os.environ.get("SSL_CERT_FILE")
    if path:
        found["ca_file"] = _existing_file("SSL_CERT_FILE", path)
    path = os.environ.get("SSL_CERT_DIR")
    if path:
        found["ca_dir"] = _existing_dir("SSL_CERT_DIR", path)
    return {"verify": True, **found} if found else _system_trust()


def _system_trust() -> dict[str, Any]:
    return {"verify": True, "fallback_ca_file": _certifi_file()}


def _certifi_file() -> str | None:
    """certifi's bundle, if certifi is installed. Does not import it."""
    from importlib.util import find_spec

    try:
        spec = find_spec("certifi")
    except (ImportError, ValueError):
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        path = os.path.join(folder, "cacert.pem")
        if os.path.isfile(path):
            return path
    return None


def _pem_trust(pem: bytes) -> dict[str, Any]:
    if b"-----BEGIN" not in pem:
        raise InvalidArgument(
            "verify: these bytes are not PEM; a path is given as str"
        )
    return {"verify": True, "ca_pem": pem}


def _path_trust(name: str, path: str | bytes) -> dict[str, Any]:
    text = os.fsdecode(path)
    _refuse_pem(name, text)
    if os.path.isdir(text):
        return {"verify": True, "ca_dir": text}
    return {"verify": True, "ca_file": _existing_file(name, text)}


def _refuse_pem(name: str, path: str) -> None:
    """Not into a message about a missing file: there may be a key in it."""
    if "-----BEGIN" in path:
        how = "PEM is given as bytes" if name == "verify" else "not PEM itself"
        raise InvalidArgument(f"{name}: a str is the path of a file, {how}")


def _existing_file(name: str, path: str) -> str:
    if not os.path.exists(path):
        raise SSLError(f"{name}={path}: no such file")
    if os.path.isdir(path):
        raise SSLError(f"{name}={path}: is a directory, a file is wanted")
    if not os.access(path, os.R_OK):
        raise SSLError(f"{name}={path}: permission denied")
    return path


def _existing_dir(name: str, paths: str) -> str:
    """The first directory there is: the variable may list several."""
    for path in paths.split(os.pathsep):
        if os.path.isdir(path):
            return path
    raise SSLError(f"{name}={paths}: no such directory")


# ---- an ssl.SSLContext, as far as Python shows what is in it -----------------


def _context_trust(context: Any) -> dict[str, Any]:
    """Authorities, versions, ciphers and verification of a context.

    A context that shows no authorities (a directory is read only when needed,
    and so is the platform's own store) stands for the system's. Its client
    certificate cannot be read: cert= carries that.
    """
    found = context_protocol(context)
    if int(context.verify_mode) == 0:
        return {"verify": False, **found}
    if not context.check_hostname:
        raise SSLError(
            "verify: this context checks certificates but not host names, "
            "which is not on offer; say TLS(server_hostname=...) or "
            "TLS(fingerprint=...) instead"
        )
    pem = context_authorities(context)
    if not pem:
        return {**_system_trust(), **found}
    return {"verify": True, "ca_pem": pem, **found}


def context_authorities(context: Any) -> bytes:
    """As PEM, b"" when it shows none."""
    authorities = context.get_ca_certs(binary_form=True)
    return b"".join(_to_pem(der) for der in authorities)


def _to_pem(der: bytes) -> bytes:
    from binascii import b2a_base64

    text = b2a_base64(der, newline=False)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return b"\n".join([
        b"-----BEGIN CERTIFICATE-----",
        *lines,
        b"-----END CERTIFICATE-----",
        b"",
    ])


def context_protocol(context: Any) -> dict[str, Any]:
    """Versions (0 is the default) and ciphers of a context."""
    lowest = int(getattr(context, "minimum_version", 0))
    highest = int(getattr(context, "maximum_version", 0))
    if 0 < highest < 0x0303:
        raise SSLError("verify: this context allows nothing above TLS 1.1")
    found: dict[str, Any] = {
        # Below zero: "whatever the library has"; below 1.2: not with us.
        "min_version": lowest if lowest >= 0x0303 else 0,
        "max_version": max(highest, 0),
    }
    ciphers = list(context.get_ciphers())
    for field, is_1_3 in (("ciphers", False), ("ciphersuites", True)):
        names = [
            cipher["name"]
            for cipher in ciphers
            if (cipher["protocol"] == "TLSv1.3") is is_1_3
        ]
        found[field] = ":".join(names) or None
    return found


# ---- identity and settings ---------------------------------------------------


def _identity(cert: object) -> dict[str, Any]:
    if cert is None:
        return {}
    if isinstance(cert, (str, os.PathLike)):
        return {"cert_file": _cert_path(cert)}
    if not isinstance(cert, (tuple, list)) or len(cert) not in (2, 3):
        raise TypeError(
            "cert takes a path, (cert, key) or (cert, key, password), not "
            f"{type(cert).__name__}"
        )
    found: dict[str, Any] = {"cert_file": _cert_path(cert[0])}
    if cert[1] is not None:
        found["key_file"] = _cert_path(cert[1])
    if len(cert) == 3 and cert[2] is not None:
        found["key_password"] = _password(cert[2])
    return found


def _cert_path(path: Any) -> str:
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"cert takes paths, not {type(path).__name__}")
    text = os.fsdecode(path)
    _refuse_pem("cert", text)
    return _existing_file("cert", text)


def _password(password: object) -> str:
    if isinstance(password, (bytes, bytearray)):
        return bytes(password).decode()
    if isinstance(password, str):
        return password
    raise TypeError(
        "cert: the password is str or bytes, not " + type(password).__name__
    )


def _settings(tls: TLS | None) -> dict[str, Any]:
    if tls is None:
        return {}
    if not isinstance(tls, TLS):
        raise TypeError(f"tls takes an hpool.TLS, not {type(tls).__name__}")
    given = zip(tls.__slots__, tls._values())
    found = {name: value for name, value in given if value is not None}
    if tls.alpn is not None:
        names = (name.encode() for name in tls.alpn)
        found["alpn"] = b"".join(bytes([len(n)]) + n for n in names)
    return found
