"""A container engine of the tests' own, to be stopped, killed, frozen and starved beside the machine's one.

Its socket, data, processes, mounts and control groups all bear its directory's name, so that all of them are found,
and none of anybody else's, when it is taken down.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine import IMAGE

HOOK = """#!/bin/sh
[ -e {says} ] && cat {says} >&2 && exit 1
exit 0
"""
"""Stands where NVIDIA's own would be: the engine runs it for every container that gets GPUs, and asks no more."""

HOW = "an engine of the tests' own needs root and dockerd; run them as root after apt-get install docker.io"


def until(holds: Callable[[], object], seconds: float = 30.0, told: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} seconds: {told()}"
        time.sleep(0.1)


@dataclass
class PrivateEngine:
    root: Path
    options: tuple[str, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None
    mounts: list[Path] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"unix://{self.root}/docker.sock"

    @property
    def log(self) -> str:
        return (self.root / "log").read_text(encoding="utf-8", errors="replace")

    # --- what the machine does to it ---

    def start(self, *options: str) -> None:
        """Also after it was killed, with all that it left behind; as systemd does, once more if that fails."""
        self.options = options or self.options
        for last_try in (False, True):
            self._launch()
            try:
                until(lambda: self.answers() or self._ended(), told=lambda: self.log[-3000:])
            except AssertionError:
                if last_try:
                    raise
            if not self._ended():
                return
        raise AssertionError(self.log[-3000:])

    def _launch(self) -> None:
        at = self.root
        own = {"data-root": at / "data", "exec-root": at / "exec", "pidfile": at / "pid", "bridge": "none"}
        own |= {"cgroup-parent": f"/{at.name}", "iptables": "false", "ip-masq": "false"}
        settings = [f"--{key}={to}" for key, to in own.items()]
        # In a network of its own: an engine without a bridge removes docker0, also that of the machine's engine.
        command = ["unshare", "--net", "dockerd", "-H", self.host, *settings, *self.options]
        (at / "pid").unlink(missing_ok=True)
        path = f"{at / 'bin'}{os.pathsep}{os.environ['PATH']}"
        with (at / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "PATH": path}
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """It has ended when this returns; what it ran may go on."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def runs(self, word: str) -> bool:
        """Has a shim of ours a program below it whose command line holds ``word``? Also while no engine answers."""
        found = [below for process in self._own("shim") for below in process.children(recursive=True)]
        with contextlib.suppress(psutil.Error):
            return any(word in " ".join(process.cmdline()) for process in found)
        return True

    def lose_shims(self) -> None:
        """What keeps exit codes while no engine is there, and the containers with it: nobody knows how they ended."""
        self._kill("shim")

    def has_gpus(self) -> None:
        """From its next start on it takes requests for GPUs; the container's environment then says which."""
        hook = self.root / "bin/nvidia-container-runtime-hook"
        hook.parent.mkdir()
        hook.write_text(HOOK.format(says=self.root / "hook-says"), encoding="utf-8")
        hook.chmod(0o755)

    def hook_says(self, words: str) -> None:
        """NVIDIA's part below the engine fails with these words; with none it works again."""
        says = self.root / "hook-says"
        says.write_text(words, encoding="utf-8") if words else says.unlink()

    # --- what people do with it ---

    def __call__(self, *arguments: str) -> str:
        """``docker ...``"""
        command = ["docker", "-H", self.host, *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 0, f"{command}: {ended.stderr}"
        return ended.stdout.strip()

    def answers(self) -> bool:
        command = ["docker", "-H", self.host, "version"]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0

    def containers(self) -> list[str]:
        """Names of all that there are."""
        return self("ps", "-a", "--format", "{{.Names}}").split()

    def state(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("inspect", name, "--format", "{{json .State}}"))
        return found

    def load(self, image: str = IMAGE) -> None:
        """From the machine's own engine."""
        saved = subprocess.run(["docker", "save", image], capture_output=True, check=True).stdout
        subprocess.run(["docker", "-H", self.host, "load", "-q"], input=saved, capture_output=True, check=True)

    # --- the end ---

    def clear(self) -> None:
        """Leave nothing: a killed engine leaves its containerd, shims, containers, mounts and control groups."""
        if self.process is not None:
            self.end(signal.SIGKILL)  # also one that is frozen
        self._kill()
        for mount in (*reversed(self._mounts()), *map(str, self.mounts)):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        until(lambda: not self._cgroups_left())
        shutil.rmtree(self.root)
        assert self._mounts() == []
        assert self._own() == []

    def _ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _line(self, process: psutil.Process) -> str:
        """Its command line if that names our directory, else nothing."""
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            return line if f"{self.root}/" in line else ""
        return ""

    def _own(self, word: str = "") -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if word in (line := self._line(process)) and line]

    def _kill(self, word: str = "") -> None:
        killed = []
        for process in self._own(word):
            with contextlib.suppress(psutil.Error):
                killed += [*process.children(recursive=True), process]
        for one in reversed(killed):  # a shim first: it must not see, and note, how its container ends
            with contextlib.suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(killed, timeout=10)

    def _mounts(self) -> list[str]:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        return [mount for mount in mounts if mount.startswith(f"{self.root}/")]

    def _cgroups_left(self) -> bool:
        """Removed from within; what was inside has just been killed."""
        left = False
        for top in Path("/sys/fs/cgroup").glob(f"**/{self.root.name}"):
            for directory, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(directory)  # noqa: PTH106
                except OSError:
                    left = True
        return left


def private_engine(options: Sequence[str] = (), *, disk: str = "", gpus: bool = False) -> Iterator[PrivateEngine]:
    """A started engine with the test image. ``disk``: the size of a file system of its own for its data."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("docker") is None:
        if os.environ.get("WINSLOW_REQUIRE_ENGINE") == "1":
            pytest.fail(HOW)
        pytest.skip(HOW)
    own = PrivateEngine(Path(tempfile.mkdtemp(prefix="winslow-engine.", dir="/tmp")))
    try:
        if disk:
            data = own.root / "data"
            data.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", data], check=True)
            own.mounts.append(data)
        if gpus:
            own.has_gpus()
        own.start(*options)
        own.load()
        yield own
    finally:
        own.clear()
