"""Where control groups may be made, told from what the kernel shows. The trees here are directories that imitate it."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.adapters.process import delegation
from reconciler.adapters.process.delegation import Delegation, Place

UNIFIED = ("cpu", "memory", "pids")
INTERFACE = {
    "cpu": ("cpu.cfs_period_us", "cpu.cfs_quota_us"),
    "memory": ("memory.limit_in_bytes",),
    "pids": ("pids.max",),
}


@dataclass
class Kernel:
    """``proc`` is a /proc/self, ``root`` the unified hierarchy's mount."""

    at: Path

    def __post_init__(self) -> None:
        self.proc = self.at / "proc"
        self.proc.mkdir()
        self.root = self.at / "cgroup fs"
        self.mounts: list[str] = []

    def mount_unified(self, *, seen: str = "/") -> None:
        self._mount(seen, self.root, "cgroup2 cgroup2 rw,nsdelegate")

    def mount_older(self, controllers: str) -> Path:
        self._mount("/", self.at / controllers, f"cgroup cgroup rw,{controllers}")
        return self.at / controllers

    def _mount(self, seen: str, point: Path, kind: str) -> None:
        escaped = str(point).replace(" ", "\\040")
        self.mounts.append(f"31 23 0:28 {seen} {escaped} rw,relatime shared:9 - {kind}")
        (self.proc / "mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + "\n".join(self.mounts) + "\n")

    def are_in(self, *memberships: str) -> None:
        (self.proc / "cgroup").write_text("\n".join(memberships) + "\n")

    def make(self, path: str, *, ours: bool, procs: str = "", controllers: tuple[str, ...] = UNIFIED) -> Path:
        """A directory of the unified hierarchy that hands out all that it has, as far as the real one would let it."""
        directory = self.root / path
        directory.mkdir(parents=True)
        files = {"cgroup.procs": procs, "cgroup.controllers": " ".join(controllers)}
        for name, text in (files | {"cgroup.subtree_control": " ".join(controllers)}).items():
            (directory / name).write_text(text)
        if path:
            (directory / "cgroup.type").write_text("domain\n")
        if not ours:
            (directory / "cgroup.procs").chmod(0o444)
            directory.chmod(0o555)
        return directory

    def find(self) -> Delegation:
        return delegation.find(self.proc)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Its files' modes decide, also where root runs the tests."""
    monkeypatch.setattr(os, "access", lambda path, _: os.path.exists(path) and bool(os.stat(path).st_mode & 0o200))  # noqa: PTH110, PTH116
    monkeypatch.setattr(os, "geteuid", lambda: 990)
    return Kernel(tmp_path)


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new directory of the older hierarchy comes with its controllers' files."""
    real_make, real_remove = Path.mkdir, Path.rmdir

    def mkdir(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        real_make(path, mode, parents, exist_ok)
        trees = {controller for part in path.parent.parts for controller in part.split(",")}
        for file in (file for controller in trees for file in INTERFACE.get(controller, ())):
            (path / file).touch()

    def rmdir(path: Path) -> None:
        for file in path.iterdir():
            file.unlink()
        real_remove(path)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(Path, "rmdir", rmdir)


def test_root_makes_groups_at_the_top_beside_its_service(kernel: Kernel) -> None:
    """A group inside of a service with stages in it would keep systemd from starting the service again."""
    kernel.mount_unified()
    kernel.make("", ours=True, procs="1\n")
    kernel.make("system.slice", ours=True)
    kernel.make("system.slice/winslow.service", ours=True, procs="77\n")
    kernel.are_in("0::/system.slice/winslow.service")
    (place,) = kernel.find().places
    assert place == Place(path=str(kernel.root), unified=True, controllers=UNIFIED)
    assert (kernel.root / "cgroup.procs").read_text() == "1\n"  # the real root may hold processes


def test_a_users_own_service_makes_groups_beside_itself(kernel: Kernel) -> None:
    kernel.mount_unified()
    manager = "user.slice/user-990.slice/user@990.service"
    kernel.make(manager, ours=True)
    kernel.make(f"{manager}/app.slice", ours=True)
    kernel.make(f"{manager}/app.slice/winslow.service", ours=True, procs="77\n")
    kernel.are_in(f"0::/{manager}/app.slice/winslow.service")
    assert [place.path for place in kernel.find().places] == [str(kernel.root / manager)]


def test_a_delegated_service_makes_room_in_its_own_group(kernel: Kernel) -> None:
    """What hands out limits may hold no process itself, so ours go one level down."""
    kernel.mount_unified()
    own = kernel.make("system.slice/winslow.service", ours=True, procs="77\n")
    kernel.are_in("0::/system.slice/winslow.service")
    assert [place.path for place in kernel.find().places] == [str(own)]
    assert (own / "reconciler").is_dir()
    again = kernel.find()  # after a restart that found us in the group below
    assert [place.path for place in again.places] == [str(own)]


def test_who_only_looks_moves_nobody(kernel: Kernel) -> None:
    kernel.mount_unified()
    own = kernel.make("system.slice/winslow.service", ours=True, procs="77\n")
    kernel.are_in("0::/system.slice/winslow.service")
    found = delegation.find(kernel.proc, settle=False)
    assert found.enforced == ("cpus", "memory", "pids")
    assert not (own / "reconciler").exists()


def test_a_service_without_delegation_is_told_what_it_lacks(kernel: Kernel) -> None:
    kernel.mount_unified()
    kernel.make("system.slice/winslow.service", ours=False, procs="77\n")
    kernel.are_in("0::/system.slice/winslow.service")
    assert str(kernel.find()) == "none (the service needs Delegate=yes)"


def test_controllers_that_are_not_handed_out_are_named(kernel: Kernel) -> None:
    kernel.mount_unified()
    kernel.make("u.service", ours=True, controllers=("memory", "pids"))
    kernel.are_in("0::/u.service")
    assert str(kernel.find()) == "memory, pids (not cpus)"


def test_a_group_without_any_controller_still_serves_for_killing(kernel: Kernel) -> None:
    kernel.mount_unified()
    own = kernel.make("u.service", ours=True, controllers=())
    kernel.are_in("0::/u.service")
    found = kernel.find()
    assert str(found) == "none (the kernel hands out no controller here)"
    (group,) = found.groups("winslow-ulm-1", cpus=1, memory=2**30)
    assert (group["path"], group["settings"]) == (f"{own}/winslow/winslow-ulm-1", [])


def test_a_container_that_sees_only_its_own_group_finds_itself(kernel: Kernel) -> None:
    kernel.mount_unified(seen="/docker/4f2a")
    own = kernel.make("", ours=True)
    kernel.are_in("0::/docker/4f2a")
    assert [place.path for place in kernel.find().places] == [str(own)]


@pytest.mark.parametrize("membership", ["0::/../other", "0::/elsewhere"])
def test_a_group_that_is_out_of_sight_is_nobodys(kernel: Kernel, membership: str) -> None:
    kernel.mount_unified(seen="/docker/4f2a")
    kernel.make("", ours=True)
    kernel.are_in(membership)
    assert kernel.find().places == ()


def test_a_read_only_file_system_leaves_limits_alone(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    kernel.mount_unified()
    kernel.make("", ours=False)
    kernel.are_in("0::/")
    assert str(kernel.find()) == "none (the cgroup file system can't be written, as in most containers)"


def test_a_machine_without_control_groups_says_so(kernel: Kernel) -> None:
    assert str(kernel.find()) == "none (no cgroup file system is mounted)"


@pytest.mark.usefixtures("probes")
def test_the_older_hierarchy_has_one_group_for_each_tree(kernel: Kernel) -> None:
    """Controllers that are mounted together share theirs; what else there is, as systemd's own tree, is left alone."""
    both, memory = kernel.mount_older("cpu,pids"), kernel.mount_older("memory")
    kernel.mount_older("name=systemd")
    (memory / "mine").mkdir(parents=True)
    both.mkdir()
    kernel.are_in("9:cpu,pids:/", "4:memory:/mine", "1:name=systemd:/x", "0::/x")
    found = kernel.find()
    assert str(found) == "cpus, memory, pids"
    together, alone = found.groups("winslow-ulm-1", cpus=0.5, memory=2**30)
    assert (together["path"], alone["path"]) == (
        f"{both}/winslow/winslow-ulm-1",
        f"{memory}/mine/winslow/winslow-ulm-1",
    )
    told = {setting["file"]: setting["value"] for setting in (*together["settings"], *alone["settings"])}
    assert told == {
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "50000",
        "pids.max": "8192",
        "memory.limit_in_bytes": str(2**30),
        "memory.memsw.limit_in_bytes": str(2**30),
    }
    assert not list(both.iterdir())  # the probe is gone


@pytest.mark.usefixtures("probes")
def test_what_one_tree_does_not_allow_the_others_still_do(kernel: Kernel) -> None:
    for controller in ("cpu", "memory"):
        kernel.mount_older(controller).mkdir()
    kernel.are_in("9:cpu:/", "4:memory:/", "3:pids:/gone")
    assert str(kernel.find()) == "cpus, memory (not pids)"


def test_the_older_hierarchy_is_for_root_alone(kernel: Kernel) -> None:
    kernel.mount_older("cpu")
    kernel.are_in("9:cpu:/somebody/elses")
    assert str(kernel.find()) == "none (cgroup v1 needs root)"


def test_memory_is_limited_in_whole_pages_and_only_where_it_was_asked_for() -> None:
    place = Place(path="/x", unified=True, controllers=UNIFIED)
    settings = {one["file"]: one["value"] for one in place.group("a", cpus=0.001, memory=10_000_001)["settings"]}
    assert settings["memory.max"] == str(10_000_001 // delegation.PAGE * delegation.PAGE)
    assert settings["memory.swap.max"] == "0"
    assert settings["cpu.max"] == "1000 100000"  # the kernel's least
    files = [one["file"] for one in place.group("a", cpus=1, memory=0)["settings"]]
    assert files == ["cpu.max", "pids.max"]
