"""Inside a guest: does what the lab asks, one JSON line over TCP a request. It never touches the share itself.

Each request has a thread of its own, so that one which hangs (a process in an NFS call) delays no other.
"""

import contextlib
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PORT = 7000
ALL = Path("/proc")


def hello() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def run(command: Sequence[str], environment: Mapping[str, str], timeout: float) -> dict[str, Any]:
    """Run to the end; ``code`` is None if it did not end in time (and may hang in the kernel yet)."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        out, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        return {"code": None, "out": ""}
    return {"code": process.returncode, "out": out}


def spawn(command: Sequence[str], environment: Mapping[str, str], log: str) -> int:
    """Start a service in a session of its own; its output is appended to ``log``."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with Path(log).open("ab") as file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # no zombies: a dead one must look dead
    return process.pid


def kill(pid: int, number: int) -> bool:
    """False if there was no such process any more."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.Signals(number))
        return True
    return False


def lives(pid: int) -> bool:
    return (ALL / str(pid)).exists()


def read(path: str, offset: int = 0) -> str:
    """A file's text from a byte on; empty if it is not there."""
    with contextlib.suppress(FileNotFoundError), Path(path).open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")
    return ""


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def files(root: str, patterns: Sequence[str]) -> dict[str, str]:
    """Texts of the files below ``root`` that match, by their path below it."""
    found = sorted({path for pattern in patterns for path in Path(root).glob(pattern) if path.is_file()})
    return {path.relative_to(root).as_posix(): read(str(path)) for path in found}


def stages() -> list[dict[str, str]]:
    """The programs of stages that run here: what Winslow told them, and their pids."""
    return [{"pid": pid, **told} for pid, told in _told() if told]


def _told() -> Iterator[tuple[str, dict[str, str]]]:
    for directory in ALL.iterdir():
        if directory.name.isdigit():
            with contextlib.suppress(OSError):
                words = (directory / "environ").read_bytes().decode(errors="replace").split("\0")
                pairs = (word.partition("=") for word in words if word.startswith("WINSLOW_"))
                yield directory.name, {name.removeprefix("WINSLOW_").lower(): value for name, _, value in pairs}


CALLS: dict[str, Callable[..., Any]] = {
    call.__name__: call for call in (hello, run, spawn, kill, lives, read, write, files, stages)
}


class Request(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        try:
            answer = {"is": CALLS[asked.pop("call")](**asked)}
        except Exception as error:  # noqa: BLE001  # whatever it is, the lab wants to know, and we go on
            answer = {"error": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(OSError):
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 50


if __name__ == "__main__":
    with Server((sys.argv[1], PORT), Request) as server:
        server.serve_forever()
