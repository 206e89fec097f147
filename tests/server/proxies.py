"""Proxies: scripts of one, and Debian's tinyproxy, squid and microsocks in the
foreground, each on ports of its own of 127.0.0.1, and without any access to caches
or files of the system."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from base64 import b64encode
from pathlib import Path

from tests.server.scripted import expect, respond, send, serve, start_tls

USER, PASSWORD = "me", "p:w/@ %"  # to be percent-encoded in a URL
LOGIN = "me:p%3Aw%2F%40%20%25"
DIGEST_PASSWORD = "p/w@ %"  # the helper's file has no other colon
BASIC = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()

# ---- scripted ones -----------------------------------------------------------

OK = [serve(respond(b"ok"))]
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


def tunnel(context, *then):
    """A proxy that is itself what its tunnels lead to."""
    return [expect(), send(OPEN), start_tls(context), *(then or OK)]


# ---- real ones ---------------------------------------------------------------

TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 50
LogFile "{folder}/log"
LogLevel Connect
PidFile "{folder}/pid"
"""

# The helper answers the lines "user password", where squid escapes some bytes.
SQUID = """
http_port 127.0.0.1:{port}
https_port 127.0.0.1:{tls_port} tls-cert={chain} tls-key={key}
auth_param {scheme} program {helper}
auth_param {scheme} children 1
auth_param {scheme} realm test
acl login proxy_auth REQUIRED
acl connect method CONNECT
acl forbidden dstdomain forbidden.test
http_access deny forbidden
http_access allow login
http_access deny all
cache deny all
cache_log {folder}/cache.log
access_log stdio:{folder}/access.log
pid_filename {folder}/pid
coredump_dir {folder}
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname squid.test
logfile_rotate 0
"""
SQUID_LOGIN = """#!/bin/sh
while read -r user password; do
    [ "$user $password" = "me p:w/@%20%25" ] && echo OK || echo ERR
done
"""


def find(program, package):
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{program} is missing: apt-get install {package}"
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Server:
    """A program that listens on `port` soon after it is started."""

    def __init__(self, folder):
        self.folder = Path(folder)
        for _ in range(5):  # somebody else may have taken the port meanwhile
            self.port = free_port()
            if self._begin():
                return
        raise RuntimeError(f"{self.arguments()[0]} does not start: {self.log()}")

    def _begin(self):
        self.configure()
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                self.arguments(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 10).close()
            except OSError:
                time.sleep(0.01)
            else:
                return True
        self.close()
        return False

    def configure(self):
        """Writes the files it reads, for self.port."""

    def arguments(self):
        """Of the process."""
        raise NotImplementedError

    def log(self):
        """What it has written about its connections."""
        return (self.folder / "output").read_text()

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class Tinyproxy(Server):
    """An http proxy for everybody: url."""

    def __init__(self, folder):
        super().__init__(folder)
        self.url = f"http://127.0.0.1:{self.port}"

    def configure(self):
        text = TINYPROXY.format(port=self.port, folder=self.folder)
        (self.folder / "conf").write_text(text)

    def arguments(self):
        program = find("tinyproxy", "tinyproxy-bin")
        return [program, "-d", "-c", str(self.folder / "conf")]

    def log(self):
        return (self.folder / "log").read_text()


class Squid(Server):
    """An http and https proxy that wants credentials: Basic or, of USER with
    DIGEST_PASSWORD, Digest. It knows no host "forbidden.test"."""

    def __init__(self, folder, certificate, digest=False):
        self._certificate = certificate
        self._digest = digest
        super().__init__(folder)
        self.url = f"http://127.0.0.1:{self.port}"
        self.login_url = f"http://{LOGIN}@127.0.0.1:{self.port}"
        self.tls_url = f"https://{LOGIN}@localhost:{self.tls_port}"

    def configure(self):
        self.tls_port = free_port()
        chain, key = (self._own(path) for path in self._certificate)
        scheme, helper = self._digest_helper() if self._digest else self._helper()
        text = SQUID.format(
            scheme=scheme,
            helper=helper,
            port=self.port,
            tls_port=self.tls_port,
            folder=self.folder,
            chain=chain,
            key=key,
        )
        (self.folder / "conf").write_text(text)
        self._give_away()

    def _helper(self):
        login = self.folder / "login"
        login.write_text(SQUID_LOGIN)
        login.chmod(0o755)
        return "basic", login

    def _digest_helper(self):
        users = self.folder / "users"
        users.write_text(f"{USER}:{DIGEST_PASSWORD}\n")
        return "digest", f"/usr/lib/squid/digest_file_auth {users}"

    def _own(self, path):
        return shutil.copy(path, self.folder)

    def _give_away(self):
        """Squid does not run as root: all that it needs must be its own."""
        if os.geteuid() != 0:
            return
        user = pwd.getpwnam("proxy")
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)

    def arguments(self):
        program = find("squid", "squid-openssl")
        return [program, "-N", "-f", str(self.folder / "conf")]

    def log(self):
        return (self.folder / "access.log").read_text()


class Microsocks(Server):
    """A SOCKS5 proxy: address "127.0.0.1:port"."""

    def __init__(self, folder, login=False):
        self._login = ["-u", USER, "-P", PASSWORD] if login else []
        super().__init__(folder)
        self.address = f"127.0.0.1:{self.port}"

    def arguments(self):
        program = find("microsocks", "microsocks")
        return [program, "-i", "127.0.0.1", "-p", str(self.port), *self._login]
