"""What mount options and the engine's description mean, and how an examination is asked."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.process.delegation import Delegation, Place
from reconciler.cli.doctor import engine, machine, share
from reconciler.cli.doctor.finding import Examination, Finding, Level, examine, ok
from reconciler.cli.doctor.mount import judge, mount_of
from reconciler.config import NodeConfig, Reserve
from reconciler.core.names import NodeName
from reconciler.errors import ShareUnavailable
from tests.fakes.build import a_gpu
from tests.fakes.lab import FakeHost

MOUNTINFO = """\
22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
40 22 0:45 / /mnt/winslow rw,relatime shared:1 - nfs4 nas:/export rw,vers=4.2,hard,local_lock=none
41 22 0:46 / /mnt/soft rw - nfs4 nas:/export rw,vers=4.2,soft,timeo=50
42 22 0:47 / /mnt/old rw - nfs nas:/export rw,vers=3,hard,nolock
43 22 0:48 / /mnt/fixed ro - nfs4 nas:/export ro,vers=4.0,hard
44 22 0:49 / /mnt/with\\040blank rw - fuse.sshfs host:/ rw
45 40 0:50 / /mnt/winslow/resources rw - nfs4 nas:/videos rw,vers=4.2,soft
"""


def problems(path: str) -> list[str]:
    mount = mount_of(Path(path), MOUNTINFO)
    assert mount is not None
    return [finding.message for finding in judge(mount) if finding.level is Level.PROBLEM]


def test_the_deepest_mount_counts() -> None:
    mount = mount_of(Path("/mnt/winslow/projects"), MOUNTINFO)
    assert mount is not None
    assert (mount.source, mount.options["vers"]) == ("nas:/export", "4.2")


def test_a_hard_mount_by_nfs_4_2_is_well() -> None:
    assert problems("/mnt/winslow") == []


@pytest.mark.parametrize(
    ("path", "word"),
    [("/mnt/soft", "soft"), ("/mnt/old", "vers=3"), ("/mnt/old", "locks are local"), ("/mnt/fixed", "read-only")],
)
def test_what_a_share_cant_live_with_is_a_problem(path: str, word: str) -> None:
    assert any(word in message for message in problems(path))


def test_blanks_in_mount_points_are_understood() -> None:
    mount = mount_of(Path("/mnt/with blank/share"), MOUNTINFO)
    assert mount is not None
    assert mount.kind == "fuse.sshfs"
    assert [finding.level for finding in judge(mount)] == [Level.WARNING]


def test_an_engine_without_live_restore_is_warned_of() -> None:
    (answers, found) = engine.judge({"ServerVersion": "20.10", "LiveRestoreEnabled": False}, has_gpus=False)
    assert answers.level is Level.OK
    assert '"live-restore": true' in found.advice


def test_gpus_without_their_runtime_are_warned_of() -> None:
    info = {"ServerVersion": "27", "LiveRestoreEnabled": True, "Runtimes": {"runc": {}}}
    assert [f.area for f in engine.judge(info, has_gpus=True) if f.level is Level.WARNING] == ["gpu"]
    listed = {"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]}
    assert all(f.level is Level.OK for f in engine.judge({**info, "Runtimes": {"nvidia": {}}}, has_gpus=True))
    assert all(f.level is Level.OK for f in engine.judge({**info, **listed}, has_gpus=True))


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """Ends what hangs, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_that_hangs_is_a_finding(hung: threading.Event) -> None:
    """A hung mount must not hang the doctor."""

    def hang() -> list[Finding]:
        hung.wait()
        return []

    (found,) = examine(Examination(area="share", name="free space", look=hang), 0.05)
    assert found.level is Level.PROBLEM
    assert "free space gave no answer" in found.message


def test_what_fails_is_told_and_the_next_one_is_asked() -> None:
    def fail() -> list[Finding]:
        raise ShareUnavailable("it is gone")

    def refuse() -> list[Finding]:
        raise PermissionError(13, "Permission denied", "/mnt/x")

    assert [f.message for f in examine(Examination(area="share", name="it", look=fail), 30)] == ["it is gone"]
    (refused,) = examine(Examination(area="share", name="writing", look=refuse), 30)
    assert refused.message == "writing: /mnt/x: Permission denied"
    assert examine(Examination(area="share", name="it", look=lambda: [ok("share", "fine")]), 30)[0].level is Level.OK


def test_a_directory_of_the_share_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    assert any("retired is missing" in finding.message for finding in share.layout(tmp_path))


def test_secrets_that_everybody_reads_are_warned_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    config = NodeConfig(name=NodeName("a"), state_url="x", share=tmp_path, secrets_dir=tmp_path)
    (found,) = machine.secrets(config)
    assert "chmod o-rwx" in found.advice
    tmp_path.chmod(0o750)
    assert machine.secrets(config) == []


def test_a_node_with_all_limits_of_plain_processes_is_well() -> None:
    place = Place(path="/sys/fs/cgroup", unified=True, controllers=("cpu", "memory", "pids"))
    found = engine.limits(Delegation(places=(place,)))
    assert (found.level, found.advice) == (Level.OK, "")
    assert "cpus, memory, pids" in found.message


def test_what_is_not_enforced_of_plain_processes_is_noted_with_the_place_to_read_on() -> None:
    found = engine.limits(Delegation(reason="the service needs Delegate=yes"))
    assert found.level is Level.NOTE
    assert "none (the service needs Delegate=yes)" in found.message
    assert "docs/node.md" in found.advice


def test_a_reserve_that_leaves_nothing_or_names_nothing_is_a_problem() -> None:
    here = FakeHost(gpus=(a_gpu("GPU-0815"),))
    kept = Reserve(cpus=64.0, memory=1 << 50, gpus=("gpu-08", "GPU-deadbeef"))
    found = machine.reserve(kept, here)
    assert [one.level for one in found] == [Level.PROBLEM] * 3
    assert [one.advice for one in found] == ["write less than 8", "write less than 32GiB", "there are: GPU-0815"]
    assert "names GPU-deadbeef" in found[2].message
    assert machine.reserve(Reserve(cpus=1.0, memory=1 << 30, gpus=("gpu-08",)), here) == []
