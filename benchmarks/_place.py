"""A throw-away site for measurements: a state repository, a share and one real node process."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.adapters.share import SharedDirectory

IMAGE = "winslow-bench/busybox:1"


class Site:
    def __init__(self, root: Path, *, poll: str) -> None:
        self.root = root
        self.share = SharedDirectory(root / "share")
        SharedDirectory.create(root / "share")
        self._git("init", "-q", "--bare", "-b", "main", str(root / "state.git"), cwd=root)
        self._git("clone", "-q", str(root / "state.git"), str(root / "state"), cwd=root)
        (root / "state" / "pipelines").mkdir()
        (root / "state" / "projects").mkdir()
        (root / "state" / "winslow.yaml").write_text("version: 1\n")
        (root / "node.yaml").write_text(
            f"version: 1\nname: bench\nstate: {{url: 'file://{root}/state.git'}}\nshare: {root}/share\n"
            f"local: {root}/local\npoll: {poll}\n"
        )

    def write(self, path: str, text: str) -> None:
        (self.root / "state" / path).write_text(text)

    def push(self) -> float:
        """Commit and push everything; returns the moment the push had returned."""
        state = self.root / "state"
        self._git("add", "-A", cwd=state)
        self._git("-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "bench", cwd=state)
        self._git("push", "-q", "origin", "HEAD:main", cwd=state)
        return time.monotonic()

    @contextmanager
    def node(self) -> Iterator[subprocess.Popen[bytes]]:
        log = (self.root / "node.log").open("ab")
        command = [sys.executable, "-m", "reconciler.cli.main", "--config", str(self.root / "node.yaml"), "node"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self.until(lambda: bool(self.share.read_nodes()), 30)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            log.close()

    @staticmethod
    def until(condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"not there after {seconds} s")
            time.sleep(0.02)  # seldom enough to leave the processors to what is measured

    @staticmethod
    def _git(*arguments: str, cwd: Path) -> None:
        subprocess.run(["git", *arguments], cwd=cwd, check=True, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"})


@contextmanager
def site(*, poll: str = "2s") -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="winslow-bench-") as root:
        yield Site(Path(root), poll=poll)


def build_image() -> None:
    """A scratch image with busybox (package busybox-static); needs no registry."""
    busybox = next((path for path in ("/bin/busybox", "/usr/bin/busybox") if Path(path).exists()), None)
    if busybox is None:
        raise SystemExit("benchmarks need busybox: apt-get install busybox-static")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "busybox").write_bytes(Path(busybox).read_bytes())
        (Path(folder) / "busybox").chmod(0o755)
        (Path(folder) / "Dockerfile").write_text(
            "FROM scratch\n" + "".join(f"COPY busybox /bin/{name}\n" for name in ("busybox", "sh", "true", "echo"))
        )
        subprocess.run(["docker", "build", "-q", "-t", IMAGE, folder], check=True, stdout=subprocess.DEVNULL)
