"""Real bare repositories, real pushes, and a real ``git http-backend`` on the loopback address."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reconciler.adapters.git import StateRepository

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "PATH": os.environ["PATH"],
}


class Forge:
    """A bare repository and a person's work tree that pushes to it."""

    def __init__(self, root: Path) -> None:
        self.bare = root / "state.git"
        self.work = root / "work"
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare), cwd=root)
        self.git("init", "-q", "-b", "main", str(self.work), cwd=root)

    @property
    def url(self) -> str:
        return f"file://{self.bare}"

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        ended = subprocess.run(
            ["git", *arguments], cwd=cwd or self.work, env=IDENTITY, capture_output=True, text=True, check=True
        )
        return ended.stdout.strip()

    def write(self, path: str, content: str | bytes) -> None:
        file = self.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, branch: str = "main", *options: str) -> None:
        self.git("push", "-q", *options, str(self.bare), f"HEAD:refs/heads/{branch}")

    def save(self, path: str, content: str | bytes) -> str:
        """Write, commit and push one file to main; the commit."""
        self.write(path, content)
        commit = self.commit(f"write {path}")
        self.push()
        return commit

    def head(self, branch: str) -> str:
        return self.git("rev-parse", f"refs/heads/{branch}", cwd=self.bare)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.fixture
def clone_of(tmp_path: Path) -> Callable[..., StateRepository]:
    def make(url: str, name: str = "one", **options: object) -> StateRepository:
        return StateRepository(url, tmp_path / "clones" / name, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def served(forge: Forge) -> Iterator[str]:
    """The forge's repository over smart HTTP, pushes included."""
    forge.git("config", "http.receivepack", "true", cwd=forge.bare)
    server = ThreadingHTTPServer(("127.0.0.1", 0), backend_of(forge.bare.parent))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/state.git"
    server.shutdown()
    server.server_close()
    thread.join()


def backend_of(root: Path) -> type[BaseHTTPRequestHandler]:
    class Backend(BaseHTTPRequestHandler):
        def answer(self) -> None:
            path, _, query = self.path.partition("?")
            environment = {
                **IDENTITY,
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
                ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
            )
            head, _, content = ended.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815  (the base class's names)

        def log_message(self, format: str, *values: object) -> None:
            """Tests read what they assert, not the server's log."""

    return Backend
