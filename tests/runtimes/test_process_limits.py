"""What control groups enforce, with real ones: as far as the machine that runs the tests lets us make any."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from reconciler.adapters.process import delegation
from reconciler.adapters.process.delegation import Delegation
from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.codec.log import read_lines
from reconciler.config import ProcessConfig
from reconciler.core.containers import Container, ContainerState, Order
from reconciler.core.names import NodeName, ShareId

OrderMaker = Callable[..., Order]

DELEGATED = delegation.find(settle=False)
MIB = 2**20
NO_LIMITS = {"memory": "0"}

enforces = pytest.mark.skipif(len(DELEGATED.enforced) < 3, reason=f"limits that this machine lets us set: {DELEGATED}")
has_groups = pytest.mark.skipif(not DELEGATED.places, reason=f"limits that this machine lets us set: {DELEGATED}")

TAKES_MEMORY = "held = bytearray(200 * 2**20); print('took it all')"
LEAVES_ITS_SESSION = "setsid sleep 300 & echo $!; wait $!; sleep 300"
STARTS = """
import sys, time
from pathlib import Path
from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.config import ProcessConfig
from reconciler.core.containers import ClaimKey, Order, Paths
local, boot, at, share = sys.argv[1:]
key = ClaimKey(share=share, project="ulm", run=7, stage="detect", number=1, token="ab" * 16)
paths = Paths(claim=at, workspace=at, output=at, input=at, resources=at)
order = Order(key=key, node="lab-1", image=None, command=("sleep", "300"), environment={}, paths=paths)
ProcessRuntime(ProcessConfig(), local=Path(local), boot=boot, node="lab-1", share=share).start(order, image_digest=None)
print("started", flush=True)
time.sleep(60)
"""


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def groups_of(container: Container) -> list[Path]:
    return [Path(group["path"]) for group in json.loads(Path(container.handle).read_text())["groups"]]


def setting(container: Container, *names: str) -> list[str]:
    """The words of the one of these files that a group has: they differ between the kernel's two interfaces."""
    (found,) = [group / name for group in groups_of(container) for name in names if (group / name).exists()]
    return found.read_text().split()


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def first_line(directory: Path) -> str:
    path = directory / "log.jsonl"
    until(lambda: path.exists() and read_lines(path).lines)
    return read_lines(path).lines[0].line


@enforces
def test_a_program_over_its_memory_is_killed_and_the_end_says_that_it_was_its_memory(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order(sys.executable, "-c", TAKES_MEMORY, memory=64 * MIB)
    ended = process_runtime.wait(process_runtime.start(order, image_digest=None))
    assert (ended.exit_code, ended.oom_killed) == (137, True)
    assert read_lines(claim_directory / "log.jsonl").lines == ()
    assert ended.limits["memory"] == str(64 * MIB)


@enforces
def test_a_program_within_its_memory_ends_as_it_wants(process_runtime: ProcessRuntime, make_order: OrderMaker) -> None:
    order = make_order(sys.executable, "-c", TAKES_MEMORY, memory=512 * MIB)
    ended = process_runtime.wait(process_runtime.start(order, image_digest=None))
    assert (ended.exit_code, ended.oom_killed) == (0, False)


@enforces
def test_what_other_processes_of_a_stage_take_counts_for_its_memory(
    process_runtime: ProcessRuntime, make_order: OrderMaker
) -> None:
    """Also if they leave the session; the program hears of its child's end and makes what it likes of it."""
    order = make_order("sh", "-c", f'setsid -w {sys.executable} -c "{TAKES_MEMORY}"; exit 4', memory=64 * MIB)
    ended = process_runtime.wait(process_runtime.start(order, image_digest=None))
    assert (ended.exit_code, ended.oom_killed) == (4, True)


@enforces
def test_a_program_gets_the_processors_and_processes_that_were_asked_for(
    process_runtime: ProcessRuntime, make_order: OrderMaker
) -> None:
    container = process_runtime.start(make_order("sleep", "300", cpus=1.5), image_digest=None)
    assert setting(container, "cpu.cfs_quota_us", "cpu.max")[0] == "150000"
    assert setting(container, "pids.max") == ["8192"]
    assert container.pid is not None
    assert all(str(container.pid) in (group / "cgroup.procs").read_text().split() for group in groups_of(container))
    assert container.limits == {"cpus": "1.5", "memory": "0", "pids": "8192"}


@enforces
def test_a_program_that_forks_without_end_is_stopped_and_removed(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    forks = "import os\nprint('forking', flush=True)\nwhile True:\n try: os.fork()\n except OSError: pass"
    order = make_order(sys.executable, "-c", forks)
    container = process_runtime.start(order, image_digest=None)
    groups = groups_of(container)
    for group in groups:  # fewer than a stage may have, to spare the machine
        if (group / "pids.max").exists():
            (group / "pids.max").write_text("50")
    assert first_line(claim_directory) == "forking"
    process_runtime.stop(container)
    process_runtime.remove(process_runtime.wait(container))
    assert [group for group in groups if group.exists()] == []


@has_groups
def test_stopping_a_program_kills_what_has_left_its_session(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    container = process_runtime.start(make_order("sh", "-c", LEAVES_ITS_SESSION), image_digest=None)
    stray = int(first_line(claim_directory))
    until(lambda: os.getsid(stray) == stray)
    process_runtime.stop(container)
    until(lambda: not is_alive(stray))


@has_groups
def test_nothing_is_left_of_a_program_and_its_groups_once_it_has_ended(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order("sh", "-c", "setsid sleep 300 & echo $!; read -r line <go")
    os.mkfifo(claim_directory / "workspace" / "go")
    container = process_runtime.start(order, image_digest=None)
    stray, groups = int(first_line(claim_directory)), groups_of(container)
    assert all(group.is_dir() for group in groups)
    (claim_directory / "workspace" / "go").write_text("\n")
    process_runtime.wait(container)
    assert not is_alive(stray)
    assert [group for group in groups if group.exists()] == []


@has_groups
def test_groups_of_a_killed_supervisor_are_emptied_and_removed(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    container = process_runtime.start(make_order("sh", "-c", LEAVES_ITS_SESSION), image_digest=None)
    stray, groups = int(first_line(claim_directory)), groups_of(container)
    until(lambda: os.getsid(stray) == stray)
    os.kill(json.loads(Path(container.handle).read_text())["supervisor"]["pid"], signal.SIGKILL)
    ended = process_runtime.wait(container)
    assert ended.error == "supervisor vanished"
    process_runtime.remove(ended)
    assert not is_alive(stray)
    assert [group for group in groups if group.exists()] == []


@has_groups
def test_limits_outlive_a_killed_reconciler_and_its_successor_removes_the_groups(
    process_runtime: ProcessRuntime, claim_directory: Path, tmp_path: Path, share: ShareId
) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    arguments = [str(tmp_path / "local"), boot, str(claim_directory), share]
    with subprocess.Popen([sys.executable, "-c", STARTS, *arguments], stdout=subprocess.PIPE) as reconciler:
        assert reconciler.stdout is not None
        assert reconciler.stdout.readline() == b"started\n"
        os.kill(reconciler.pid, signal.SIGKILL)
    (found,) = process_runtime.list()
    groups = groups_of(found)
    assert found.state is ContainerState.RUNNING
    assert all(str(found.pid) in (group / "cgroup.procs").read_text().split() for group in groups)
    process_runtime.stop(found)
    process_runtime.remove(process_runtime.wait(found))
    assert [group for group in groups if group.exists()] == []


@enforces
def test_a_reconciler_sets_the_limits_of_what_runs_again(
    process_runtime: ProcessRuntime, make_order: OrderMaker, tmp_path: Path, share: ShareId
) -> None:
    """A restart of a service with Delegate=yes lifts them."""
    container = process_runtime.start(make_order("sleep", "300"), image_digest=None)
    (lifted,) = [group / "pids.max" for group in groups_of(container) if (group / "pids.max").exists()]
    lifted.write_text("max")
    ProcessRuntime(ProcessConfig(), local=tmp_path / "local", boot=container.boot, node=NodeName("lab-1"), share=share)
    assert lifted.read_text() == "8192\n"


@has_groups
def test_a_command_that_can_not_be_started_leaves_no_groups(
    process_runtime: ProcessRuntime, make_order: OrderMaker
) -> None:
    order = make_order("no-such-command")
    with pytest.raises(Exception, match="no-such-command"):
        process_runtime.start(order, image_digest=None)
    planned = DELEGATED.groups(order.key.slug, cpus=1, memory=0)
    assert [group["path"] for group in planned if Path(group["path"]).exists()] == []


def without_groups(tmp_path: Path, share: ShareId, delegated: Delegation) -> ProcessRuntime:
    return ProcessRuntime(
        ProcessConfig(stop_grace=timedelta(seconds=1)),
        local=tmp_path / "local",
        boot="b",
        node=NodeName("lab-1"),
        share=share,
        delegated=delegated,
    )


@pytest.mark.parametrize(
    "delegated",
    [
        Delegation(reason="the service needs Delegate=yes"),
        Delegation(places=(delegation.Place(path="/proc/sys", unified=True, controllers=("cpu", "memory", "pids")),)),
        Delegation(places=(delegation.Place(path="/nowhere", unified=False, controllers=("cpu", "memory", "pids")),)),
    ],
    ids=["nothing is delegated", "it can't be written after all", "it has gone"],
)
def test_a_program_runs_without_groups_and_its_limits_say_so(
    tmp_path: Path, share: ShareId, make_order: OrderMaker, delegated: Delegation
) -> None:
    runtime = without_groups(tmp_path, share, delegated)
    ended = runtime.wait(runtime.start(make_order("sh", "-c", "exit 3", memory=64 * MIB), image_digest=None))
    assert (ended.exit_code, ended.oom_killed, ended.limits) == (3, False, NO_LIMITS)
    runtime.remove(ended)
    assert list(runtime.list()) == []


def test_a_node_says_what_it_enforces(tmp_path: Path, share: ShareId, process_runtime: ProcessRuntime) -> None:
    runtime = without_groups(tmp_path, share, Delegation(reason="the service needs Delegate=yes"))
    assert runtime.check()["limits"] == "none (the service needs Delegate=yes)"
    assert process_runtime.check()["limits"] == str(DELEGATED)


def test_a_state_of_an_earlier_version_is_read_and_its_program_adopted(
    process_runtime: ProcessRuntime, make_order: OrderMaker
) -> None:
    container = process_runtime.start(make_order("sleep", "300"), image_digest=None)
    path = Path(container.handle)
    groups = groups_of(container)
    state = json.loads(path.read_text())
    earlier = {name: state[name] for name in state if name not in {"groups", "limits", "gpus", "oom_killed"}}
    path.write_text(json.dumps(earlier))
    (found,) = process_runtime.list()
    assert found == replace(container, limits=NO_LIMITS, gpus=())
    process_runtime.stop(found)
    ended = process_runtime.wait(found)
    assert ended.state is ContainerState.EXITED
    assert [group for group in groups if group.exists()] == []
    path.write_text(json.dumps(earlier | {"ended_at": state["started_at"], "exit_code": 3}))
    (found,) = process_runtime.list()
    assert (found.exit_code, found.oom_killed, found.pid) == (3, False, None)
