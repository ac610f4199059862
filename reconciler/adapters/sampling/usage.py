"""One run's container or process: by its control group where it has one, else by its processes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.sampling import cgroups, processes
from reconciler.core.containers import Container
from reconciler.core.usage import Use

LOOK_AGAIN = 10.0
"""Seconds after which the members of sessions are looked up anew: that reads about every process of the machine."""
MOST = 64
"""A container with more processes is counted by its group alone: to ask each would cost too much."""


@dataclass(frozen=True, slots=True)
class _Known:
    pid: int
    group: cgroups.Group


class RunUse:
    """Not thread-safe. ``root`` holds proc and sys; ``now`` is monotonic."""

    def __init__(self, *, by_session: bool, now: Callable[[], float], root: Path = Path("/")) -> None:
        """``by_session``: programs are plain processes, each leading a session, in the machine's network."""
        self._by_session = by_session
        self._now = now
        self._root = str(root).rstrip("/")
        self._proc = f"{self._root}/proc"
        self._sessions: dict[int, tuple[int, ...]] = {}
        self._looked_at = float("-inf")
        self._known: dict[str, _Known] = {}

    def sample(self, container: Container) -> Use | None:
        """None: it has ended, or nobody knows its processes."""
        if container.pid is None or not processes.exists(self._proc, container.pid):
            self._known.pop(container.handle, None)
            return None
        known = self._know(container.handle, container.pid, (container.handle, container.key.slug))
        members = self._members(known)
        cpu, memory = known.group.cpu_seconds(), known.group.memory_used()
        read, written = self._disk(known, members)
        received, sent = self._network(known)
        return Use(
            cpu=cpu if cpu is not None else processes.cpu_seconds(self._proc, members),
            memory=memory if memory is not None else processes.memory_used(self._proc, members),
            read=read,
            written=written,
            received=received,
            sent=sent,
        )

    def forget(self, kept: Iterable[str]) -> None:
        """All handles but these."""
        self._known = {handle: self._known[handle] for handle in kept if handle in self._known}

    def _know(self, handle: str, pid: int, words: tuple[str, ...]) -> _Known:
        known = self._known.get(handle)
        if known is None or known.pid != pid:
            known = self._known[handle] = _Known(pid, cgroups.find(self._root, pid, words))
        return known

    def _members(self, known: _Known) -> tuple[int, ...]:
        members = known.group.members()
        if members is not None or not self._by_session:
            return members or ()
        if self._now() - self._looked_at >= LOOK_AGAIN or known.pid not in self._sessions:
            self._sessions, self._looked_at = processes.sessions(self._proc), self._now()
        return self._sessions.get(known.pid, ())

    def _disk(self, known: _Known, members: tuple[int, ...]) -> tuple[int, int] | tuple[None, None]:
        found = processes.disk_io(self._proc, members) if len(members) <= MOST else None
        return found or known.group.disk_io() or (None, None)

    def _network(self, known: _Known) -> tuple[int, int] | tuple[None, None]:
        """Only of what proves to be the container: its number may mean another process here."""
        is_own = not self._by_session and known.group.members() is not None
        return (processes.network_io(self._proc, known.pid) if is_own else None) or (None, None)
