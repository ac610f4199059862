"""Where this process may make control groups for stages: looked up and tried out, never assumed.

Unified hierarchy (cgroup v2): below the highest directory that we may write, for only between directories below it may
we move processes. For root that is the root, for a service of a user's own systemd that user's. Stages then lie beside
the service and do not hinder its restart. A service with ``Delegate=yes`` may write its own directory alone; there it
first makes room, since a directory that hands out limits may hold no process itself.

Older hierarchy (v1): one tree for each controller, below the directory that we are in, so that limits of the service
hold for its stages, too. Only root may write there.
"""

import contextlib
import os
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.process.cgroups import Group, Setting

WORDS = {"cpu": "cpus", "memory": "memory", "pids": "pids"}
BASE = "winslow"
LEAF = "reconciler"
PERIOD = 100_000
"""Microseconds over which processor time is counted: the kernel's and Docker's default."""
MOST_PROCESSES = 8192
PAGE = os.sysconf("SC_PAGE_SIZE")
PROBES = {"cpu": "cpu.cfs_quota_us", "memory": "memory.limit_in_bytes", "pids": "pids.max"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory below which groups can be made, and what can be limited there."""

    path: str
    unified: bool
    controllers: tuple[str, ...]

    def group(self, name: str, *, cpus: float, memory: int) -> Group:
        settings = [setting for c in self.controllers for setting in _settings(c, cpus, memory, self.unified)]
        return {
            "path": f"{self.path}/{BASE}/{name}",
            "controllers": list(self.controllers) if self.unified else [],
            "settings": settings,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    places: tuple[Place, ...] = ()
    reason: str = ""  # why there are none

    def groups(self, name: str, *, cpus: float, memory: int) -> list[Group]:
        return [place.group(name, cpus=cpus, memory=memory) for place in self.places]

    @property
    def enforced(self) -> tuple[str, ...]:
        there = {controller for place in self.places for controller in place.controllers}
        return tuple(word for controller, word in WORDS.items() if controller in there)

    def __str__(self) -> str:
        """For people: what is enforced, what is not, and why."""
        if not self.enforced:
            return f"none ({self.reason or 'the kernel hands out no controller here'})"
        missing = [word for word in WORDS.values() if word not in self.enforced]
        return ", ".join(self.enforced) + (f" (not {', '.join(missing)})" if missing else "")


def find(proc: Path = Path("/proc/self"), *, settle: bool = True) -> Delegation:
    """``settle``: make room where that takes moving ourselves; without it this only looks."""
    mounts = list(_mounts(proc))
    memberships = _memberships(proc)
    if places := list(_older(mounts, memberships)):
        return Delegation(places=tuple(places))
    unified = next((mount for mount in mounts if mount.kind == "cgroup2"), None)
    own = unified.locate(memberships.get("", "")) if unified is not None else None
    top = _highest(own, Path(unified.point)) if unified is not None and own is not None else None
    if top is None:
        return Delegation(reason=_why_not({mount.kind for mount in mounts}))
    place = Place(path=str(top), unified=True, controllers=_handed_out(top, settle=settle))
    return Delegation(places=(place,))


def _why_not(kinds: Set[str]) -> str:
    if not kinds:
        return "no cgroup file system is mounted"
    if os.geteuid() == 0:
        return "the cgroup file system can't be written, as in most containers"
    return "the service needs Delegate=yes" if "cgroup2" in kinds else "cgroup v1 needs root"


@dataclass(frozen=True, slots=True)
class _Mount:
    root: str  # which directory of the hierarchy is seen
    point: str  # where
    kind: str
    controllers: tuple[str, ...]

    def locate(self, path: str) -> Path | None:
        """Where a group lies in our file system; None if it is out of sight, as another namespace's may be."""
        inside = path if self.root == "/" else path.removeprefix(self.root) if _is_in(path, self.root) else None
        return None if inside is None or "/.." in inside else Path(f"{self.point}/{inside.strip('/')}")


def _is_in(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def _mounts(proc: Path) -> Iterator[_Mount]:
    for line in _read(proc / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        seen, kind = before.split(), after.split()
        if kind and kind[0] in {"cgroup", "cgroup2"}:
            yield _Mount(_unescaped(seen[3]), _unescaped(seen[4]), kind[0], tuple(kind[2].split(",")))


def _unescaped(text: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text


def _memberships(proc: Path) -> dict[str, str]:
    """Controller -> the group that we are in; an empty one is the unified hierarchy."""
    found: dict[str, str] = {}
    for line in _read(proc / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _older(mounts: list[_Mount], memberships: dict[str, str]) -> Iterator[Place]:
    found: dict[Path, list[str]] = {}
    for controller in WORDS:
        for mount in mounts:
            own = mount.locate(memberships.get(controller, ""))
            if mount.kind == "cgroup" and controller in mount.controllers and own and _works(own, PROBES[controller]):
                found.setdefault(own, []).append(controller)
                break
    for path, controllers in found.items():  # controllers may be mounted together
        yield Place(path=str(path), unified=False, controllers=tuple(controllers))


def _works(directory: Path, file: str) -> bool:
    """By trying it: rights, read-only mounts, security modules and the kernel's options all have their say."""
    probe = directory / f"{BASE}-probe-{os.getpid()}"
    try:
        probe.mkdir(exist_ok=True)
    except OSError:
        return False
    try:
        return os.access(probe / file, os.W_OK)
    finally:
        probe.rmdir()


def _highest(own: Path, root: Path) -> Path | None:
    """Of the directories from ours up to the root the highest that we may write, without a gap."""
    found = None
    for directory in (own, *own.parents):
        if not directory.is_relative_to(root) or not _is_ours(directory):
            break
        found = directory
    return found


def _is_ours(directory: Path) -> bool:
    return all(os.access(path, os.W_OK) for path in (directory, directory / "cgroup.procs"))


def _handed_out(top: Path, *, settle: bool) -> tuple[str, ...]:
    """The controllers that directories in ``top`` have, once we have asked for all."""
    offered = [controller for controller in WORDS if controller in _read(top / "cgroup.controllers").split()]
    if not settle:
        return tuple(offered)
    if (top / "cgroup.type").exists():  # the root of all has none, and may hold processes
        _make_room(top)
    for controller in set(offered).difference(_read(top / "cgroup.subtree_control").split()):
        with contextlib.suppress(OSError):
            (top / "cgroup.subtree_control").write_text(f"+{controller}")
    enabled = _read(top / "cgroup.subtree_control").split()
    return tuple(controller for controller in offered if controller in enabled)


def _make_room(top: Path) -> None:
    for _ in range(10):  # they may fork while we read
        members = _read(top / "cgroup.procs").split()
        if not members:
            return
        for pid in members:
            with contextlib.suppress(OSError):
                (top / LEAF).mkdir(exist_ok=True)
                (top / LEAF / "cgroup.procs").write_text(pid)


def _settings(controller: str, cpus: float, memory: int, unified: bool) -> list[Setting]:
    """Files of the two hierarchies differ, what they say does not: no more than this, and no swap beyond it."""
    quota = max(1000, round(cpus * PERIOD))
    memory = memory // PAGE * PAGE  # as the kernel counts
    match controller, unified:
        case "cpu", True:
            return [_setting("cpu.max", f"{quota} {PERIOD}", "cpus")]
        case "cpu", False:
            return [_setting("cpu.cfs_period_us", str(PERIOD)), _setting("cpu.cfs_quota_us", str(quota), "cpus")]
        case "memory", True if memory:
            return [_setting("memory.max", str(memory), "memory"), _setting("memory.swap.max", "0")]
        case "memory", False if memory:
            limited = _setting("memory.limit_in_bytes", str(memory), "memory")
            return [limited, _setting("memory.memsw.limit_in_bytes", str(memory))]
        case "pids", _:
            return [_setting("pids.max", str(MOST_PROCESSES), "pids")]
    return []


def _setting(file: str, value: str, limit: str = "") -> Setting:
    return {"file": file, "value": value, "limit": limit}


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8")
    return ""
