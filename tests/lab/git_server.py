"""The state repositories, over HTTPS: what nodes accept from another machine, with a certificate of the lab's own."""

import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.lab.namespace import command
from tests.lab.network import GIT_PORT, HOST

AUTHORITY = """
[ca]
default_ca = lab
[lab]
database = {index}
rand_serial = yes
new_certs_dir = {directory}
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""
PERSON = {f"GIT_{role}_{what}": "ada@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    **PERSON,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


class GitServer:
    """Serves every bare repository in ``root``; ``certificate`` is what clients have to trust."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.certificate = root / "certificate.pem"
        _certify(root, self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, root / "key.pem")
        server = _Server((HOST, GIT_PORT), _handler(root))
        server.context = context
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"https://{HOST}:{GIT_PORT}/{name}.git"


class _Server(ThreadingHTTPServer):
    """The handshake is made in the connection's own thread: a client that is cut off in it delays nobody."""

    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: object, client_address: object) -> None:
        assert not isinstance(request, tuple)
        with self.context.wrap_socket(request, server_side=True) as secured:  # type: ignore[arg-type]
            super().finish_request(secured, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections break here by design."""


def _certify(directory: Path, certificate: Path) -> None:
    """Valid for decades on both sides, since guests' clocks are an hour or more off."""
    key, request, settings = directory / "key.pem", directory / "request.pem", directory / "authority.cnf"
    (directory / "index.txt").touch()
    settings.write_text(AUTHORITY.format(index=directory / "index.txt", directory=directory))
    command(
        *("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(request)),
        *("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}"),
    )
    command(
        *("openssl", "ca", "-batch", "-selfsign", "-notext", "-config", str(settings)),
        *("-keyfile", str(key), "-in", str(request), "-out", str(certificate)),
        *("-startdate", "20200101000000Z", "-enddate", "20490101000000Z"),
    )


def _handler(root: Path) -> type[BaseHTTPRequestHandler]:
    class Backend(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60.0

        def answer(self) -> None:
            path, _, query = self.path.partition("?")
            told = {
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            ended = subprocess.run(
                ["git", "http-backend"], env={**ENVIRONMENT, **told}, input=body, capture_output=True, check=False
            )
            head, _, content = ended.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815  (the base class's names)

        def log_message(self, format: str, *values: object) -> None:
            """Nodes ask every few seconds."""

    return Backend
