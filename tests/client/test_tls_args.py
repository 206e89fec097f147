"""verify=, cert=, tls= and the environment, as the core gets them."""

import os
import pathlib
import ssl
import subprocess
import sys
import types

import pytest

import hpool
from hpool import _tls
from hpool._tls import Resolved, resolve

VARIABLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
)
PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(PEM)
    return path


def given(resolved):
    """The fields that differ from their defaults."""
    return {
        name: value
        for name, value in resolved._asdict().items()
        if name == "verify" or value != Resolved._field_defaults[name]
    }


def trust(verify=True, trust_env=True):
    return given(resolve(verify, None, None, trust_env))


# ---- the system's store -----------------------------------------------------


@pytest.mark.parametrize("verify", [True, None])
def test_the_system_s_store_with_certifi_behind_it(verify):
    certifi = pytest.importorskip("certifi")
    expected = {"verify": True, "fallback_ca_file": certifi.where()}
    assert trust(verify) == trust(verify, trust_env=False) == expected


def test_certifi_is_not_imported():
    code = (
        "import sys; from hpool import _tls; before = set(sys.modules)\n"
        "_tls.resolve(True, None, None, True)\n"
        "print(*({'certifi', 'ssl'} & (sys.modules.keys() - before)))"
    )
    env = {"PYTHONPATH": f"{hpool.__path__[0]}/.."}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=env,
    )
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("spec", [None, types.SimpleNamespace(
    submodule_search_locations=["/nowhere"])])
def test_without_certifi(monkeypatch, spec):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    assert trust() == {"verify": True}


# ---- verify= ----------------------------------------------------------------


def test_verify_a_file(bundle):
    expected = {"verify": True, "ca_file": str(bundle)}
    for form in (str(bundle), bundle, pathlib.PurePath(bundle)):
        assert trust(form) == expected


def test_verify_a_directory(tmp_path):
    assert trust(tmp_path) == {"verify": True, "ca_dir": str(tmp_path)}


def test_verify_pem_bytes():
    assert trust(PEM) == {"verify": True, "ca_pem": PEM}
    assert trust(bytearray(PEM)) == {"verify": True, "ca_pem": PEM}
    with pytest.raises(ValueError, match="a path is given as str"):
        trust(b"/etc/ssl/ca.pem")


def test_verify_false():
    assert trust(False) == {"verify": False, "warns": True}
    assert trust(_tls.UNVERIFIED) == {"verify": False}


def test_a_pinned_certificate_is_verification():
    tls = hpool.TLS(fingerprint=b"f" * 32)
    resolved = resolve(False, None, tls, True)
    assert given(resolved) == {"verify": False, "fingerprint": b"f" * 32}


def test_verify_what_is_not_there(tmp_path):
    path = tmp_path / "nowhere.pem"
    with pytest.raises(hpool.SSLError, match=f"^verify={path}: no such file$"):
        trust(path)
    with pytest.raises(OSError, match="no such file"):
        trust("")


def test_pem_in_place_of_a_path(tmp_path):
    """It would name no file, and the text about that would show a key."""
    pem = "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n"
    path = tmp_path / "c.pem"
    path.touch()
    for call, name in (
        (lambda: trust(pem), "verify"),
        (lambda: identity(pem), "cert"),
        (lambda: identity((path, pem)), "cert"),
        (lambda: identity((path, pem.encode())), "cert"),
    ):
        with pytest.raises(hpool.InvalidArgument, match=f"^{name}: a str") as caught:
            call()
        assert "s3cret" not in str(caught.value)


def test_verify_what_cannot_be_read(bundle, monkeypatch):
    # Not by chmod(0), which does not keep root from reading.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(hpool.SSLError, match="verify=.*: permission denied"):
        trust(bundle)


@pytest.mark.parametrize("wrong", [1, 0, object(), ["x"]])
def test_verify_of_a_wrong_kind(wrong):
    with pytest.raises(TypeError, match="^verify takes True, False, a path"):
        trust(wrong)


# ---- the environment --------------------------------------------------------


def test_the_order_of_the_variables(monkeypatch, tmp_path):
    paths = {}
    for name in VARIABLES[:3]:
        paths[name] = str(tmp_path / name)
        (tmp_path / name).write_bytes(PEM)
        monkeypatch.setenv(name, paths[name])
    for name in VARIABLES[:3]:
        assert trust() == {"verify": True, "ca_file": paths[name]}
        monkeypatch.delenv(name)


def test_a_bundle_may_be_a_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert trust() == {"verify": True, "ca_dir": str(tmp_path)}


def test_openssl_s_own_variables(monkeypatch, tmp_path, bundle):
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", f"/nowhere:{tmp_path}")
    expected = {"ca_file": str(bundle), "ca_dir": str(tmp_path)}
    assert trust() == {"verify": True} | expected


@pytest.mark.parametrize("name", VARIABLES[:4])
def test_a_variable_that_leads_nowhere_is_named(monkeypatch, name):
    monkeypatch.setenv(name, "/nowhere")
    with pytest.raises(hpool.SSLError, match=f"^{name}=/nowhere: no such "):
        trust()
    assert trust(PEM) == {"verify": True, "ca_pem": PEM}


def test_what_is_explicit_beats_the_environment(monkeypatch, bundle, tmp_path):
    for name in VARIABLES[:4]:
        monkeypatch.setenv(name, str(tmp_path))
    assert trust(bundle) == {"verify": True, "ca_file": str(bundle)}
    assert "ca_dir" not in trust(True, trust_env=False)
    assert not trust(False)["verify"]


def test_key_log(monkeypatch):
    monkeypatch.setenv("SSLKEYLOGFILE", "/tmp/keys")
    assert trust(PEM)["keylog_file"] == "/tmp/keys"
    assert "keylog_file" not in trust(PEM, trust_env=False)
    monkeypatch.setenv("SSLKEYLOGFILE", "")
    assert "keylog_file" not in trust(PEM)


# ---- an ssl.SSLContext ------------------------------------------------------


def test_a_context_s_authorities(ca):
    context = ca.client_context()
    resolved = resolve(context, None, None, True)
    with open(ca.pem) as file:
        der = ssl.PEM_cert_to_DER_cert(file.read())
    assert ssl.PEM_cert_to_DER_cert(resolved.ca_pem.decode()) == der
    assert resolved.ca_pem.count(b"BEGIN CERTIFICATE") == 1
    assert max(map(len, resolved.ca_pem.splitlines())) == 64
    assert resolved.verify


def test_a_context_s_versions_and_ciphers(ca):
    context = ca.client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ciphers("ECDHE+AESGCM")
    resolved = resolve(context, None, None, True)
    assert (resolved.min_version, resolved.max_version) == (0x0304, 0)
    assert "ECDHE-RSA-AES256-GCM-SHA384" in resolved.ciphers.split(":")
    assert "TLS_AES_256_GCM_SHA384" in resolved.ciphersuites.split(":")
    assert "TLS_" not in resolved.ciphers
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    assert resolve(context, None, None, True).max_version == 0x0304
    # What tls= says comes first.
    tls = hpool.TLS(min_version="1.2", ciphers="AES128-SHA")
    resolved = resolve(context, None, tls, True)
    assert (resolved.min_version, resolved.ciphers) == (0x0303, "AES128-SHA")


def test_a_context_that_shows_no_authorities_is_the_system_s():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    resolved = resolve(context, None, None, True)
    assert resolved.verify
    assert resolved.ca_pem is None
    assert resolved.fallback_ca_file == _tls._certifi_file()
    assert resolved.min_version == 0


def test_a_context_that_verifies_nothing():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    resolved = resolve(context, None, None, True)
    assert resolved.warns and not resolved.verify


def test_contexts_that_cannot_be_followed():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with pytest.raises(hpool.SSLError, match="but not host names"):
        resolve(context, None, None, True)
    old = types.SimpleNamespace(
        verify_mode=2,
        check_hostname=True,
        get_ca_certs=lambda binary_form: [],
        get_ciphers=lambda: [],
        minimum_version=0x0301,
        maximum_version=0x0302,
    )
    with pytest.raises(hpool.SSLError, match="nothing above TLS 1.1"):
        resolve(old, None, None, True)


# ---- cert= and tls= ---------------------------------------------------------


def identity(cert):
    fields = given(resolve(PEM, cert, None, False))
    del fields["verify"], fields["ca_pem"]
    return fields


def test_cert(tmp_path):
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    cert.touch()
    key.touch()
    files = {"cert_file": str(cert), "key_file": str(key)}
    assert identity(None) == {}
    assert identity(cert) == identity(str(cert)) == {"cert_file": str(cert)}
    assert identity((cert, key)) == identity([str(cert), key]) == files
    assert identity((cert, None)) == {"cert_file": str(cert)}
    assert identity((cert, key, None)) == files
    for password in ("secret", b"secret", bytearray(b"secret")):
        expected = files | {"key_password": "secret"}
        assert identity((cert, key, password)) == expected


def test_cert_refused(tmp_path):
    cert = tmp_path / "c.pem"
    cert.touch()
    for wrong in (3, (cert,), (cert, cert, "p", 1), b"x", {}):
        with pytest.raises(TypeError, match=r"^cert takes a path, \(cert, key\)"):
            identity(wrong)
    with pytest.raises(TypeError, match="^cert: the password is str or bytes"):
        identity((cert, cert, 3))
    with pytest.raises(TypeError, match="^cert takes paths, not int"):
        identity((1, 2))
    with pytest.raises(hpool.SSLError, match="^cert=.*nowhere: no such file"):
        identity((cert, tmp_path / "nowhere"))
    with pytest.raises(hpool.SSLError, match="^cert=.*: is a directory, a file"):
        identity(tmp_path)


def test_tls_settings():
    tls = hpool.TLS(
        min_version="1.2",
        max_version="1.3",
        ciphers="A",
        ciphersuites="B",
        groups="C",
        server_hostname="d.test",
        fingerprint=b"e" * 32,
        alpn=["h2", "http/1.1"],
    )
    assert given(resolve(PEM, None, tls, False)) == {
        "verify": True,
        "ca_pem": PEM,
        "min_version": 0x0303,
        "max_version": 0x0304,
        "ciphers": "A",
        "ciphersuites": "B",
        "groups": "C",
        "server_hostname": "d.test",
        "fingerprint": b"e" * 32,
        "alpn": b"\x02h2\x08http/1.1",
    }
    nothing = resolve(PEM, None, hpool.TLS(alpn=()), False)
    assert nothing.alpn == b"" != resolve(PEM, None, hpool.TLS(), False).alpn
    with pytest.raises(TypeError, match="^tls takes an hpool.TLS, not dict"):
        resolve(True, None, {}, False)


def test_the_core_s_order():
    # PyArg_ParseTuple in csrc/py/client_tls.c reads them by place.
    assert Resolved._fields == (
        "verify",
        "ca_file",
        "ca_dir",
        "ca_pem",
        "fallback_ca_file",
        "cert_file",
        "key_file",
        "key_password",
        "min_version",
        "max_version",
        "ciphers",
        "ciphersuites",
        "groups",
        "keylog_file",
        "fingerprint",
        "server_hostname",
        "alpn",
        "warns",
    )
