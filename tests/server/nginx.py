"""Debian's nginx in the foreground, on ports of its own."""

import grp
import http.client
import os
import pwd
import shutil
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

SMALL = b"Hello, world!"
DATA = bytes(ord("a") + i % 26 for i in range(1000))
BIG = bytes(i % 251 for i in range(251)) * 39841  # 10 MB and a little

EVERYWHERE = "0.0.0.0"

CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    default_type text/plain;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    client_max_body_size 100m;
    client_body_temp_path {folder}/tmp-body;
    proxy_temp_path {folder}/tmp-proxy;
    fastcgi_temp_path {folder}/tmp-fastcgi;
    uwsgi_temp_path {folder}/tmp-uwsgi;
    scgi_temp_path {folder}/tmp-scgi;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    server {{
        listen {host}:{port};
        listen {host}:{tls_port} ssl;
        root {folder}/www;
        {more}
        location = /gzip {{
            gzip on;
            gzip_types text/plain;
            gzip_min_length 1;
            alias {folder}/www/data;
        }}
        location = /id {{ return 200 $http_x_id; }}
    }}
}}
"""


def find_nginx():
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert program, "nginx is missing: apt-get install nginx-light"
    return program


def listen(host):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host == EVERYWHERE:  # but not for those from outside
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    sock.bind((host, 0))
    sock.listen(1024)
    return sock, sock.getsockname()[1]


class Nginx:
    """http_url and https_url serve /small (13 bytes), /data (1000), /big
    (10 MB), /gzip: /data, compressed for those who accept it, and /id, which
    answers with the request's X-Id. `host` may be EVERYWHERE in 127.0.0.0/8;
    `more` goes into the configuration of the server."""

    def __init__(self, folder, certificate, host="127.0.0.1", more="", connections=1000):
        self.folder, self.host, self.more = Path(folder), host, more
        self.connections = connections
        self._write_files()
        with ExitStack() as stack:
            plain, self.port = listen(host)
            secure, self.tls_port = listen(host)
            stack.enter_context(plain)
            stack.enter_context(secure)
            self._write_config(*certificate)
            self.process = self._start(plain, secure)
        self.http_url = f"http://127.0.0.1:{self.port}"
        self.https_url = f"https://127.0.0.1:{self.tls_port}"
        self._check()

    def _write_files(self):
        www = self.folder / "www"
        www.mkdir()
        for name, body in (("small", SMALL), ("data", DATA), ("big", BIG)):
            (www / name).write_bytes(body)

    def _write_config(self, chain, key):
        user = ""
        if os.geteuid() == 0:  # nginx would else become nobody
            name = pwd.getpwuid(0).pw_name
            user = f"user {name} {grp.getgrgid(os.getegid()).gr_name};"
        text = CONFIG.format(
            user=user,
            folder=self.folder,
            chain=chain,
            key=key,
            host=self.host,
            connections=self.connections,
            more=self.more,
            port=self.port,
            tls_port=self.tls_port,
        )
        (self.folder / "nginx.conf").write_text(text)

    def _start(self, *socks):
        """nginx takes over sockets that listen already (what it does when it
        replaces itself): the ports are ours all the time, and a client may
        connect before nginx is up."""
        numbers = [sock.fileno() for sock in socks]
        inherited = "".join(f"{number};" for number in numbers)
        folder = str(self.folder)
        return subprocess.Popen(
            [find_nginx(), "-p", folder, "-c", f"{folder}/nginx.conf",
             "-e", f"{folder}/error.log"],
            pass_fds=numbers,
            env={**os.environ, "NGINX": inherited},
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def _check(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/small")
            assert connection.getresponse().read() == SMALL
        except OSError:
            self.close()
            raise RuntimeError((self.folder / "error.log").read_text()) from None
        finally:
            connection.close()

    def close(self):
        self.process.terminate()
        self.process.wait(10)
