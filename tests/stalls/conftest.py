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
from typing import Any, cast

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.files import MOUNTED, Files
from reconciler.agent.patience import Patience, timed
from tests.fakes.lab import Lab


class Hanging:
    """Port ``Files``: the real one, but each call and each answer takes as long as ``pass_on``."""

    def __init__(self, inner: object, pass_on: Callable[[], object]) -> None:
        self._inner = inner
        self._pass_on = pass_on

    def __getattr__(self, name: str) -> Any:
        return self._slow(name, getattr(self._inner, name))

    def _slow(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            self._pass_on()
            answer = call(*arguments, **named)
            self._pass_on()  # done on the server, the answer is not here
            return Hanging(answer, self._pass_on) if name in ("keep_open", "lock") and answer else answer

        return ask


class HangingLab(Lab):
    """Agents whose share hangs between ``cut`` and ``heal``."""

    def __init__(self, root: Path, local: Path) -> None:
        super().__init__(root, local)
        self.gate = threading.Event()
        self.gate.set()
        self.on_call: Callable[[], object] = self.gate.wait

    def files(self, patience: Patience) -> Files:
        return timed(cast("Files", Hanging(MOUNTED, self.pass_on)), patience)

    def pass_on(self) -> None:
        self.on_call()

    def share(self, writer: str, patience: Patience) -> SharedDirectory:
        return SharedDirectory(self.root, writer=writer, files=self.files(patience))

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
