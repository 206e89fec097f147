"""A certificate authority made for one run of the tests."""

import ssl
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "::1", "*.example.test")


class Authority:
    def __init__(self, folder):
        self.ca = trustme.CA()
        self.folder = Path(folder)
        self.pem = str(self.folder / "ca.pem")  # what a client is to trust
        self.ca.cert_pem.write_to_path(self.pem)

    def issue(self, *names):
        """A certificate for these names or addresses."""
        return self.ca.issue_cert(*(names or NAMES))

    def files(self, *names):
        """(chain, key) of a new certificate, as paths."""
        cert = self.issue(*names)
        stem = self.folder / f"{len(list(self.folder.iterdir()))}"
        chain, key = f"{stem}.pem", f"{stem}.key"
        for blob in cert.cert_chain_pems:
            blob.write_to_path(chain, append=True)
        cert.private_key_pem.write_to_path(key)
        return chain, key

    def server_context(self, *names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issue(*names).configure_cert(context)
        return context

    def client_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context
