"""A machine: a User-Mode Linux guest with its own kernel, network card and disk, and the host's files to read."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.inside.agent import PORT
from tests.lab.namespace import command
from tests.lab.network import NET
from tests.lab.requirements import MODULES, hidden

INSIDE = Path(__file__).with_name("inside")
BOOT_WITHIN = 90.0


class NoAnswer(Exception):
    """The machine's agent did not answer in time: off, frozen, or very busy."""


@dataclass(eq=False)
class Machine:
    name: str
    address: str
    role: str
    work: Path  # the lab's directory on the host
    server: str  # the NFS server's address
    memory: str = "256M"
    disk: str = "512M"
    process: "subprocess.Popen[bytes] | None" = None
    frozen: bool = False
    logs: list[str] = field(default_factory=list)

    @property
    def mac(self) -> str:
        return f"02:77:00:00:00:{int(self.address.rsplit('.', 1)[1]):02x}"

    @property
    def tap(self) -> str:
        return f"tap-{self.name}"

    @property
    def image(self) -> Path:
        return self.work / f"{self.name}.img"

    @property
    def is_on(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def make_disk(self) -> None:
        self.image.unlink(missing_ok=True)
        command("truncate", "-s", self.disk, str(self.image))
        command("mkfs.xfs", "-q", "-m", "reflink=1", str(self.image))

    # --- power ---

    def switch_on(self, *, memory: str = "", hostname: str = "") -> None:
        """Begin to boot; ``await_boot`` waits for it."""
        told = {
            "name": hostname or self.name,
            "role": self.role,
            "address": self.address,
            "mac": self.mac,
            "server": self.server,
            "clients": NET,
            "modules": self.work / "modules",
            "python": sys.executable,
            "agent": INSIDE / "agent.py",
            "paths": ",".join(map(str, hidden())),
        }
        with (self.work / f"{self.name}.console").open("ab") as console:
            self.process = subprocess.Popen(
                [
                    *("linux.uml", f"mem={memory or self.memory}", "root=/dev/root", "rootfstype=hostfs"),
                    *("rootflags=/", "ro", f"init={INSIDE / 'init.sh'}", "con=null", "con0=null,fd:1", "quiet"),
                    *(f"eth0=tuntap,{self.tap},{self.mac}", f"ubda={self.image}"),
                    *(f"umid={self.name}", f"uml_dir={self.work / 'uml'}"),
                    *(f"lab_{key}={value}" for key, value in told.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "TMPDIR": str(self.work / "memory")},
                start_new_session=True,
            )

    def await_boot(self) -> None:
        deadline = time.monotonic() + BOOT_WITHIN
        while True:
            try:
                self.ask("hello", within=2.0)
            except NoAnswer:
                if time.monotonic() > deadline or not self.is_on:
                    raise RuntimeError(f"{self.name} does not boot:\n{self.console()}") from None
                time.sleep(0.1)
            else:
                return

    def boot(self, *, memory: str = "", hostname: str = "") -> None:
        self.switch_on(memory=memory, hostname=hostname)
        self.await_boot()

    def power_off(self) -> None:
        """The plug is pulled: whatever was not yet on its disk or on the wire is gone."""
        if self.process is None:
            return
        kernel, programs = self._processes()
        for pid in kernel:
            _send(pid, signal.SIGSTOP)
        for pid in (*programs, *kernel):
            _send(pid, signal.SIGKILL)
        self.process.wait()
        self.process, self.frozen = None, False

    def freeze(self) -> None:
        """Stop the kernel's own processes; its stopped programs would die of it, and without a kernel none runs."""
        self.frozen = True
        for pid in self._processes()[0]:
            _send(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._processes()[0]:
            _send(pid, signal.SIGCONT)
        self.frozen = False

    def _processes(self) -> tuple[list[int], list[int]]:
        """Those of the guest's kernel, which are traced by nobody, and those that are its programs."""
        assert self.process is not None
        family = _parents()
        kernel: list[int] = []
        programs: list[int] = []
        for pid in sorted(_descendants(self.process.pid, family)):
            (programs if family[pid][1] else kernel).append(pid)
        return kernel, programs

    # --- what it is asked ---

    def ask(self, call: str, *, within: float = 20.0, **arguments: Any) -> Any:
        if not self.is_on:
            raise NoAnswer(f"{self.name} is off")
        try:
            with socket.create_connection((self.address, PORT), timeout=within) as line:
                line.sendall(json.dumps({"call": call, **arguments}).encode() + b"\n")
                with line.makefile("rb") as reader:
                    answer = reader.readline()
        except OSError as error:
            raise NoAnswer(f"{self.name} did not answer '{call}' within {within:g} s: {error}") from error
        if not answer:
            raise NoAnswer(f"{self.name} went away during '{call}'")
        told = json.loads(answer)
        if "error" in told:
            raise RuntimeError(f"{self.name} could not '{call}': {told['error']}")
        return told["is"]

    def run(self, *words: str, environment: Mapping[str, str] | None = None, within: float = 60.0) -> str:
        """A command to its end, as root in the guest; an exit code other than 0 is an error."""
        ended = self.ask(
            "run", command=list(words), environment=dict(environment or {}), timeout=within, within=within + 10.0
        )
        if ended["code"] != 0:
            raise RuntimeError(f"{self.name}: {' '.join(words)} ended with {ended['code']}: {ended['out']}")
        return str(ended["out"])

    def set_clock(self, ahead: float = 0.0) -> None:
        """The machine's wall clock, against the host's; seconds."""
        self.run("date", "-s", f"@{time.time() + ahead:.3f}")

    def console(self) -> str:
        return (self.work / f"{self.name}.console").read_text(errors="replace")[-3000:]


def link_modules(work: Path) -> None:
    """A root for modprobe: the host has no /lib/modules for the guests' kernel, and need not."""
    root = work / "modules" / "lib" / "modules"
    root.mkdir(parents=True, exist_ok=True)
    for version in MODULES.iterdir():
        with contextlib.suppress(FileExistsError):
            (root / version.name).symlink_to(version)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _parents() -> dict[int, tuple[int, int]]:
    """Each process's parent and tracer (0: none)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                status = (entry / "status").read_text().splitlines()
                lines = dict(line.split(":\t", 1) for line in status if ":\t" in line)
                found[int(entry.name)] = (int(lines["PPid"]), int(lines["TracerPid"]))
    return found


def _descendants(pid: int, family: Mapping[int, tuple[int, int]]) -> Iterator[int]:
    if pid in family:
        yield pid
    for child, (parent, _) in family.items():
        if parent == pid:
            yield from _descendants(child, family)
