"""The demo's nodes: processes of their own, found again by a second start, ended by their ids and no other."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import psutil

from reconciler.cli.demo.layout import Layout

GRACE = 45.0
"""Seconds to end: a stage's own grace of 30, and the time to release its claim."""

JOIN = 20.0
"""Seconds for a node to join: it first makes sure that no other machine has its name."""

ALIVE = 0.1


@dataclass(slots=True)
class NodeProcess:
    """``child`` is None for a process that an earlier demo left running."""

    name: str
    process: psutil.Process
    child: subprocess.Popen[bytes] | None
    reported: bool = False

    def has_ended(self) -> bool:
        if self.child is not None:
            return self.child.poll() is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            return not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE
        return True

    def was_killed(self) -> bool:
        """By a signal: then its log says nothing about its end."""
        return self.child is not None and self.child.returncode is not None and self.child.returncode < 0

    def how(self) -> str:
        code = self.child.returncode if self.child is not None else None
        if code is None:
            return "ended"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def signal(self, number: signal.Signals) -> None:
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def kill(self) -> None:
        """With everything in its group: it leads a session that we made for it."""
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Nodes:
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.running: list[NodeProcess] = []

    def start(self, names: Sequence[str]) -> None:
        for name in names:
            self.running.append(self._adopted(name) or self._started(name))

    def _adopted(self, name: str) -> NodeProcess | None:
        """The node of a demo that was killed: the same id and the same start, so the same process."""
        try:
            noted = json.loads(self._layout.process(name).read_text(encoding="utf-8"))
            process = psutil.Process(int(noted["pid"]))
            same = process.create_time() == noted["created"]
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            return None
        found = NodeProcess(name, process, None)
        return found if same and not found.has_ended() else None

    def _started(self, name: str) -> NodeProcess:
        with self._layout.log(name).open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "reconciler.cli.main", *self.arguments(name)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = psutil.Process(child.pid)
        noted = {"pid": child.pid, "created": process.create_time()}
        self._layout.process(name).write_text(json.dumps(noted), encoding="utf-8")
        return NodeProcess(name, process, child)

    def arguments(self, name: str) -> list[str]:
        return ["--config", str(self._layout.config(name)), "node", "--hand-over"]

    def pids(self) -> dict[str, int]:
        return {node.name: node.process.pid for node in self.running}

    def fallen(self) -> Iterator[NodeProcess]:
        """Each process that ended on its own, once."""
        for node in self.running:
            if not node.reported and node.has_ended():
                node.reported = True
                yield node

    def all_have_ended(self) -> bool:
        return all(node.has_ended() for node in self.running)

    def last_words(self, name: str) -> str:
        lines = self._layout.log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else "it said nothing"

    def revive(self, names: Collection[str]) -> None:
        """Start fallen nodes once more, so that they can stop and release what they left running."""
        for node in [node for node in self.running if node.name in names and node.has_ended()]:
            begin = self._layout.log(node.name).stat().st_size
            self.running.remove(node)
            again = self._started(node.name)
            self.running.append(again)
            deadline = time.monotonic() + JOIN
            while not again.has_ended() and time.monotonic() < deadline and not self._has_joined(node.name, begin):
                time.sleep(ALIVE)

    def _has_joined(self, name: str, begin: int) -> bool:
        return b"node_joined" in self._layout.log(name).read_bytes()[begin:]

    def end(self) -> None:
        """Ask all to end, wait, then kill. A second Ctrl-C while we wait kills at once."""
        try:
            for node in self.running:
                node.signal(signal.SIGTERM)
            deadline = time.monotonic() + GRACE
            while not self.all_have_ended() and time.monotonic() < deadline:
                time.sleep(ALIVE)
        except KeyboardInterrupt:
            pass
        finally:
            for node in self.running:
                node.kill()
                if node.child is not None:
                    node.child.wait()
                if node.has_ended():
                    self._layout.process(node.name).unlink(missing_ok=True)
