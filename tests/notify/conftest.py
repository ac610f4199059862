"""People's ends of the line: a real HTTP server, a real SMTP server, certificates of our own."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from reconciler.core.desired import Secret
from reconciler.core.names import NodeName, ProjectName, RunNumber, StageName
from reconciler.core.status import ProjectPhase
from reconciler.core.transitions import Transition
from reconciler.errors import SecretMissing
from tests.bad_input import conftest as whole_site

site = whole_site.site
AT = datetime(2026, 11, 23, 22, 58, tzinfo=UTC)


def a_transition(**fields: Any) -> Transition:
    usual: dict[str, Any] = {
        "id": "0123456789abcdef0123456789abcdef",
        "project": ProjectName("ulm"),
        "name": "Ulm crossing, flight 07",
        "phase": ProjectPhase.FAILED,
        "reason": "ExitCode",
        "message": "run 4 (detect) failed: exited with code 1; its log says why",
        "path": "projects/ulm.yaml",
        "tags": ("mec-view",),
        "at": AT,
        "run": RunNumber(4),
        "stage": StageName("detect"),
        "node": NodeName("lab-2"),
        "exit_code": 1,
        "log": "projects/ulm/runs/0004-detect/1/log.jsonl",
        "tail": ("reading frames", "no such camera"),
        "edit": "next: {stage: detect, after: 4}",
        "url": "https://git.example/lab/state/-/edit/main/projects/ulm.yaml",
        "repository": "https://git.example/lab/state",
    }
    return Transition(**{**usual, **fields})


def secrets(**known: str) -> Callable[[Secret], str]:
    def read(secret: Secret) -> str:
        if secret.secret not in known:
            raise SecretMissing(f"secret '{secret.secret}' can't be read")
        return known[secret.secret]

    return read


def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} seconds"
        time.sleep(0.02)


# --- HTTP ---


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    hang: bool = False  # until the test is over


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Hook:
    """Answers what stands in ``answers``, one a request, then 200."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https" if context else "http"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/hooks/sesame"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                hook.requests.append(Request(self.path, headers, body))
                answer = hook.answers.pop(0) if hook.answers else Answer()
                if answer.hang:
                    hook.over.wait(60)
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        return Handler


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


# --- certificates ---


@dataclass(frozen=True)
class Certificate:
    """Names localhost; nobody trusts it unless SSL_CERT_FILE says so."""

    file: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made.load_cert_chain(self.file, self.key)
        return made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    if shutil.which("openssl") is None:
        pytest.skip("a certificate is made with the program openssl: apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificate")
    found = Certificate(folder / "cert.pem", folder / "key.pem")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(found.key), "-out", str(found.file)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return found


# --- mail ---


class Post:
    """An SMTP server that keeps what it gets; ``refuse`` maps recipients to answers."""

    def __init__(self, context: ssl.SSLContext | None = None, *, tls_at_once: bool = False) -> None:
        self.mails: list[Envelope] = []
        self.refuse: dict[str, str] = {}
        self.logins: list[tuple[bytes, bytes]] = []
        self.password = b"open sesame"
        starttls = None if tls_at_once else context
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=_free_port(),
            ssl_context=context if tls_at_once else None,
            authenticator=self._authenticate,
            auth_required=starttls is not None,
            auth_require_tls=not tls_at_once,
            tls_context=starttls,
            require_starttls=starttls is not None,
        )
        self._controller.start()

    @property
    def port(self) -> int:
        port: int = self._controller.port
        return port

    def close(self) -> None:
        self._controller.stop()

    async def handle_RCPT(  # noqa: N802  # aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append(envelope)
        return "250 kept"

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == self.password, handled=False)


def _free_port() -> int:
    """aiosmtpd connects to its own port once, and so must know it."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.close()
