"""A share that hangs on demand, as a hard NFS mount does: calls neither return nor fail."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.share import SharedDirectory
from tests.fakes.lab import Lab


class Hanging:
    """Port ``Share``: the real one, except while it hangs. Counts who waits."""

    def __init__(self, inner: object, gate: threading.Event) -> None:
        self._inner = inner
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._slow(name, found) if callable(found) else found

    def _slow(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            self._gate.wait()
            answer = call(*arguments, **named)
            self._gate.wait()  # done on the server, the answer is not here
            return Hanging(answer, self._gate) if name in ("heartbeat", "try_lock") and answer else answer

        return ask


class HangingLab(Lab):
    """Agents whose share hangs between ``cut`` and ``heal``."""

    def __init__(self, root: Path, local: Path) -> None:
        super().__init__(root, local)
        self.gate = threading.Event()
        self.gate.set()

    def share(self, writer: str) -> Any:
        return Hanging(SharedDirectory(self.root, writer=writer), self.gate)

    def cut(self) -> None:
        self.gate.clear()

    def heal(self) -> None:
        self.gate.set()

    @staticmethod
    def until_true(holds: Callable[[], object]) -> None:
        """Like ``until``, but nobody turns: turning would hang."""
        end = time.monotonic() + 30.0
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.01)


@dataclass(frozen=True)
class Mount:
    """``point`` shows ``behind``, which never hangs."""

    point: Path
    behind: Path
    server: "subprocess.Popen[str]"

    def hang(self) -> None:
        self.server.send_signal(signal.SIGSTOP)
        while Path(f"/proc/{self.server.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            time.sleep(0.01)

    def heal(self) -> None:
        self.server.send_signal(signal.SIGCONT)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """A file system that hangs on demand."""
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("a file system that hangs needs root and /dev/fuse: sudo make test")
    point, behind = tmp_path / "mount", tmp_path / "behind"
    for directory in (point, behind):
        directory.mkdir()
    command = [sys.executable, "-I", str(Path(__file__).with_name("hanging_fs.py")), str(behind), str(point)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            if server.stdout.readline() != "mounted\n":
                pytest.skip("this machine lets nobody mount a FUSE file system")
            yield Mount(point, behind, server)
        finally:
            server.kill()  # whoever still waits gets an error
            subprocess.run(["umount", "-l", point], check=False)


@pytest.fixture
def remote(tmp_path: Path) -> str:
    """A state repository with one commit."""
    bare, clone = tmp_path / "remote.git", tmp_path / "clone"
    person = ["-c", "user.name=Ada", "-c", "user.email=ada@localhost"]
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True)
    subprocess.run(["git", "clone", "-q", bare, clone], check=True, stderr=subprocess.DEVNULL)
    (clone / "winslow.yaml").write_text("version: 1\n")
    subprocess.run(["git", "-C", clone, "add", "."], check=True)
    subprocess.run(["git", "-C", clone, *person, "commit", "-q", "-m", "Begin"], check=True)
    subprocess.run(["git", "-C", clone, "push", "-q", "origin", "HEAD:main"], check=True)
    return bare.as_uri()


@pytest.fixture
def silent() -> Iterator[str]:
    """A remote that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/state.git"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HangingLab]:
    SharedDirectory.create(tmp_path / "share")
    found = HangingLab(tmp_path / "share", tmp_path)
    yield found
    found.heal()
    found.close()
