"""What a run uses, as both versions of control groups count it, and as processes do without any."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import docker
import psutil
import pytest

from reconciler.adapters.sampling import MachineLoad, RunUse
from reconciler.adapters.sampling.processes import PAGE, TICK
from reconciler.core.usage import Use
from tests.engine import IMAGE, engine_or_skip
from tests.measuring.conftest import KEY, FakeKernel, container, wait_until

PATH = "docker/6796a7b8a211"
MIB = 2**20


def unified(kernel: FakeKernel) -> None:
    kernel.process(4711, session=4711, groups=f"0::/system.slice/{PATH}\n")
    group = f"sys/fs/cgroup/system.slice/{PATH}"
    kernel.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory\n")
    kernel.write(f"{group}/cpu.stat", "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    kernel.write(f"{group}/memory.stat", "anon 67108864\nfile 999999999\nshmem 1048576\nkernel_stack 1\n")
    kernel.write(f"{group}/io.stat", "254:0 rbytes=1000 wbytes=2000 rios=1 wios=1\n8:0 rbytes=10 wbytes=20\n")
    kernel.write(f"{group}/cgroup.procs", "4711\n")


def older(kernel: FakeKernel) -> None:
    lines = [f"4:memory:/{PATH}", f"3:cpu,cpuacct:/{PATH}", f"7:blkio:/{PATH}", "1:name=systemd:/x", "0::/"]
    kernel.process(4711, session=4711, groups="\n".join(lines) + "\n")
    mount = "sys/fs/cgroup"
    kernel.write(f"{mount}/cpuacct/{PATH}/cpuacct.usage", "2500000000\n")
    kernel.write(
        f"{mount}/memory/{PATH}/memory.stat", "rss 1\ntotal_rss 67108864\ntotal_shmem 1048576\ntotal_cache 9\n"
    )
    blkio = "254:0 Read 1000\n254:0 Write 2000\n8:0 Read 10\n8:0 Write 20\nTotal 3030\n"
    kernel.write(f"{mount}/blkio/{PATH}/blkio.throttle.io_service_bytes_recursive", blkio)
    kernel.write(f"{mount}/memory/{PATH}/cgroup.procs", "4711\n")


NET = """Inter-|   Receive                            |  Transmit
 face |bytes    packets errs drop ... multicast|bytes    packets errs drop ... compressed
    lo: 5000 1 0 0 0 0 0 0 5000 1 0 0 0 0 0 0
  eth0:200 2 0 0 0 0 0 0 300 3 0 0 0 0 0 0
"""


@pytest.mark.parametrize("hierarchy", [unified, older])
def test_a_containers_control_group_is_read(hierarchy: Callable[[FakeKernel], None], kernel: FakeKernel) -> None:
    """Page cache is not memory that it needs, and what it says to itself is no network traffic."""
    hierarchy(kernel)
    kernel.write("proc/4711/net/dev", NET)
    use = RunUse(by_session=False, now=lambda: 0.0, root=kernel.root).sample(container())
    assert use == Use(cpu=2.5, memory=65 * MIB, read=4096, written=8192, received=200, sent=300)


@pytest.mark.parametrize("hierarchy", [unified, older])
def test_disks_are_read_of_the_group_where_processes_are_not_ours_to_see(
    hierarchy: Callable[[FakeKernel], None], kernel: FakeKernel
) -> None:
    hierarchy(kernel)
    (kernel.root / "proc/4711/io").unlink()
    use = RunUse(by_session=False, now=lambda: 0.0, root=kernel.root).sample(container())
    assert use is not None
    assert (use.read, use.written) == (1010, 2020)


def test_a_foreign_process_that_has_the_number_is_not_taken_for_the_container(kernel: FakeKernel) -> None:
    """Of an engine in another namespace of processes the number means somebody else here."""
    kernel.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory\n")
    kernel.process(4711, session=4711, anonymous=500, groups="0::/system.slice/sshd.service\n")
    kernel.write("proc/4711/net/dev", NET)
    assert RunUse(by_session=False, now=lambda: 0.0, root=kernel.root).sample(container()) == Use()


def test_a_process_without_a_group_of_its_own_is_the_sum_of_its_session(kernel: FakeKernel) -> None:
    kernel.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory\n")
    kernel.process(4711, session=4711, anonymous=100, ticks=TICK)
    kernel.process(4712, session=4711, anonymous=200, ticks=2 * TICK)
    kernel.process(5000, session=5000, anonymous=999, ticks=9 * TICK)
    use = RunUse(by_session=True, now=lambda: 0.0, root=kernel.root).sample(container())
    assert use == Use(cpu=3.0, memory=300 * PAGE, read=8192, written=16384)


def test_a_process_with_a_group_of_its_own_is_counted_by_it(kernel: FakeKernel) -> None:
    """A child that has left the session is in it, too."""
    kernel.process(4711, session=4711, groups=f"0::/winslow/{KEY.slug}\n")
    kernel.process(4800, session=4800, groups=f"0::/winslow/{KEY.slug}\n")
    group = f"sys/fs/cgroup/winslow/{KEY.slug}"
    kernel.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory\n")
    kernel.write(f"{group}/cpu.stat", "usage_usec 1000000\n")
    kernel.write(f"{group}/memory.stat", "anon 4096\nshmem 0\n")
    kernel.write(f"{group}/cgroup.procs", "4711\n4800\n")
    use = RunUse(by_session=True, now=lambda: 0.0, root=kernel.root).sample(container())
    assert use == Use(cpu=1.0, memory=4096, read=8192, written=16384)


def test_what_has_ended_or_has_no_number_is_not_measured(kernel: FakeKernel) -> None:
    (kernel.root / "proc").mkdir(parents=True)
    runs = RunUse(by_session=False, now=lambda: 0.0, root=kernel.root)
    assert runs.sample(container()) is None
    assert runs.sample(container(pid=None)) is None


@pytest.mark.parametrize("text", ["", "garbage\n", "anon\n", "anon x\n", "usage_usec 1 2 3\n", "\0\0"])
def test_files_that_say_something_else_are_unknown_not_a_fault(text: str, kernel: FakeKernel) -> None:
    unified(kernel)
    group = f"sys/fs/cgroup/system.slice/{PATH}"
    for name in ("cpu.stat", "memory.stat", "cgroup.procs"):
        kernel.write(f"{group}/{name}", text if name != "cgroup.procs" else "")
    assert RunUse(by_session=False, now=lambda: 0.0, root=kernel.root).sample(container()) is not None


EATER = """
import time
kept = bytearray(b"x") * (64 * 2**20)
print("ate", flush=True)
time.sleep(60)
"""


def test_a_real_process_that_takes_64_mebibytes_is_seen_to() -> None:
    with subprocess.Popen([sys.executable, "-c", EATER], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ate\n"
        use = RunUse(by_session=True, now=time.monotonic).sample(container(pid=process.pid))
        process.kill()
    assert use is not None
    assert use.memory is not None
    assert 64 * MIB <= use.memory < 160 * MIB
    assert use.cpu is not None
    assert use.cpu > 0


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    yield from engine_or_skip()


def test_a_real_container_that_takes_64_mebibytes_is_seen_to(engine: docker.DockerClient) -> None:
    """By a real engine's control group, whichever version this machine has. A file of 64 MiB in shared memory stays."""
    command = ["sh", "-c", "dd if=/dev/zero of=/dev/shm/kept bs=1M count=64 2>/dev/null && echo ate && sleep 60"]
    made = engine.containers.run(IMAGE, command, detach=True, shm_size="128m", network_mode="none")
    try:
        wait_until(lambda: made.logs() == b"ate\n")
        made.reload()
        found = replace(container(pid=made.attrs["State"]["Pid"]), handle=str(made.id))
        use = RunUse(by_session=False, now=time.monotonic).sample(found)
    finally:
        made.remove(force=True)
    assert use is not None
    assert use.memory is not None
    assert 64 * MIB <= use.memory < 100 * MIB
    assert use.cpu is not None
    assert use.cpu > 0
    assert (use.received, use.sent) == (0, 0)


def test_the_machine_itself_says_something_plausible() -> None:
    load = MachineLoad().sample()
    assert 0 < load.busy < load.total
    assert 0 < load.memory < psutil.virtual_memory().total
    assert load.load >= 0
    if os.path.exists("/sys/class/net/eth0/device"):  # noqa: PTH110
        assert load.received is not None
