"""Nodes that are asked whether they act on a claim: real ports, real nodes, and heartbeats that can stall."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.bad_input.conftest import Node, Site
from tests.bad_input.conftest import site as site  # noqa: PLC0414  # the fixture

STALLING = Path(__file__).with_name("stalling_node.py")


@dataclass
class Port:
    """An HTTP port that answers as a test wants it to, and remembers what was asked for."""

    answer: Callable[[BaseHTTPRequestHandler], None]
    asked: list[str] = field(default_factory=list)
    address: str = ""


def says(code: int, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def health(node: str = "b", incarnation: str = "b-1", *tokens: str) -> bytes:
    return json.dumps({"node": node, "incarnation": incarnation, "claims": [{"token": one} for one in tokens]}).encode()


@contextmanager
def listening(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Port]:
    port = Port(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            port.asked.append(self.path)
            try:
                port.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # whoever asked has heard enough

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    port.address = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


@dataclass
class Stalling:
    """A site whose nodes run with a heartbeat that stalls while a file says so."""

    site: Site

    def start(self, name: str, **fields: Any) -> Node:
        log = self.site.root / f"{name}.{len(self.site.nodes)}.log"
        config = self.site.config(name, **fields)
        environment = {**self.site.environment, "STALL": str(self._stall(name))}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, STALLING, "--config", config, "node"],
                cwd=self.site.root,
                env=environment,
                stderr=file,
                stdout=file,
            )
        node = Node(process, log)
        self.site.nodes.append(node)
        self.site.until(lambda: "node_joined" in node.said or process.poll() is not None)
        return node

    def stall(self, name: str) -> None:
        self._stall(name).touch()

    def go_on(self, name: str) -> None:
        self._stall(name).unlink()

    def kill(self, node: Node) -> None:
        node.process.send_signal(signal.SIGKILL)
        node.process.wait(30)

    def _stall(self, name: str) -> Path:
        return self.site.root / f"stall.{name}"

    def claims(self, project: str) -> list[str]:
        """Kinds and nodes of the first run's records: ``CLAIM alpha``."""
        records = sorted((self.site.share / "projects" / project / "runs").glob("0001-*/records/*.json"))
        found = [json.loads(path.read_text()) for path in records]
        return [f"{one['kind']} {one['node']}" for one in found]


@pytest.fixture
def stalling(site: Site) -> Stalling:
    return Stalling(site)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment must never be asked: this one answers nobody."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")
