"""nginx as `deploy/nginx.conf` sets it up: the file itself, in a real nginx, in front of a panel."""

import datetime
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from ipaddress import ip_address

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from koalapanel.env import BASE_DIR

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
HOST = "koala.example.com"


class Nginx:
    """One nginx with `deploy/nginx.conf`, on ports and folders of its own."""

    def __init__(self, folder, files, panel):
        self.access_log = folder / "access.log"
        self.certificate, self.port, plain = folder / "cert.pem", free_port(), free_port()
        self.plain = f"http://127.0.0.1:{plain}"
        make_certificate(self.certificate, folder / "key.pem")
        ours = (BASE_DIR / "deploy" / "nginx.conf").read_text()
        for found, instead in {
            r"\n *listen \[::\][^;]*;": "",
            r"listen 80;": f"listen 127.0.0.1:{plain};",
            r"listen 443 ": f"listen 127.0.0.1:{self.port} ",
            r"server 127\.0\.0\.1:8000;": f"server {panel.removeprefix('http://')};",
            r"/etc/ssl/koala\.example\.com/fullchain\.pem": str(self.certificate),
            r"/etc/ssl/koala\.example\.com/privkey\.pem": str(folder / "key.pem"),
            r"/var/lib/koalapanel/files/": f"{files}/",
            r"/var/log/nginx/koalapanel\.log": str(self.access_log),
        }.items():
            ours, times = re.subn(found, lambda _, text=instead: text, ours)
            assert times, f"{found} is not in the configuration any more"
        folders = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;\n" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user}daemon off;\npid {folder}/pid;\nworker_processes 1;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{folders}{ours}\n}}\n"
        )
        self.command = [
            NGINX, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")
        ]  # fmt: skip

    def __enter__(self):
        self.process = subprocess.Popen(self.command)
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def __exit__(self, *error):
        self.stop()

    def stop(self):
        """Until all is logged: an answer is, a moment after it was sent."""
        self.process.terminate()
        self.process.wait(10)

    def get(self, path, **more):
        return self._ask("GET", path, **more)

    def head(self, path, **more):
        return self._ask("HEAD", path, **more)

    def _ask(self, method, path, headers=None):
        return requests.request(
            method,
            f"https://127.0.0.1:{self.port}{path}",
            headers={"Host": HOST, **(headers or {})},
            verify=str(self.certificate),
            timeout=5,
        )

    def raw(self, method, path, headers=None, source="127.0.0.1"):
        """The path as it is written, and no body whatever the headers say: the status, and the answer."""
        trust = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, source_address=(source, 0), context=trust, timeout=5
        )
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": HOST, **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.headers["Content-Type"] != "application/json":
            return answer.status, body
        return answer.status, json.loads(body)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(certificate, key):
    """A certificate of 127.0.0.1, signed by itself, and its key."""
    private, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    signed = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
