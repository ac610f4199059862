"""What a container may use is what its stage requires: looked up in the kernel, from inside."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from reconciler.adapters.docker import DockerRuntime
from reconciler.adapters.docker.creation import PIDS
from reconciler.codec.log import read_lines
from reconciler.core.containers import Container, Order
from tests.engine_faults.private import until

OrderMaker = Callable[..., Order]
MIB = 1 << 20

LOOK = """
cd /sys/fs/cgroup
if [ -e cgroup.controllers ]; then
    echo memory $(cat memory.max); echo swap $(cat memory.swap.max); echo cpu $(cat cpu.max); echo pids $(cat pids.max)
else
    echo memory $(cat memory/memory.limit_in_bytes)
    echo both $(cat memory/memory.memsw.limit_in_bytes)
    echo cpu $(cat cpu/cpu.cfs_quota_us) $(cat cpu/cpu.cfs_period_us)
    echo pids $(cat pids/pids.max)
fi
echo shm $(df -k /dev/shm | tail -1)
"""
"""Both versions of control groups; with the older one memory and swap are counted together."""


def seen_by(runtime: DockerRuntime, order: Order) -> tuple[dict[str, list[str]], Container]:
    container = runtime.start(order, image_digest=None)
    runtime.follow_log(container, f"{order.paths.claim}/log.jsonl")
    lines = read_lines(Path(order.paths.claim) / "log.jsonl").lines
    words = [line.line.split() for line in lines if line.stream == "stdout"]
    return {first: rest for first, *rest in words}, runtime.wait(container)


def test_a_stage_gets_what_it_requires_and_no_more(docker_runtime: DockerRuntime, make_order: OrderMaker) -> None:
    order = make_order("sh", "-c", LOOK, cpus=0.75, memory=64 * MIB, shm_size=48 * MIB)
    seen, container = seen_by(docker_runtime, order)
    assert seen["memory"] == [str(64 * MIB)]
    assert seen.get("both", [str(64 * MIB)]) == [str(64 * MIB)]  # no swap beyond it
    assert seen.get("swap", ["0"]) == ["0"]
    quota, period = map(int, seen["cpu"])
    assert quota / period == pytest.approx(0.75)
    assert seen["pids"] == [str(PIDS)]
    assert seen["shm"][1] == str(48 * 1024)
    assert container.limits == {
        "cpus": "0.75",
        "memory": str(64 * MIB),
        "pids": str(PIDS),
        "shm": str(48 * MIB),
    }


def test_a_stage_that_requires_no_memory_may_use_all_of_it(
    docker_runtime: DockerRuntime, make_order: OrderMaker
) -> None:
    seen, container = seen_by(docker_runtime, make_order("sh", "-c", LOOK, memory=0))
    assert seen["memory"] == ["max"] or int(seen["memory"][0]) > psutil.virtual_memory().total
    assert container.limits["memory"] == "0"
    assert seen["shm"][1] == str(64 * 1024)  # the engine's own


def test_the_first_process_of_a_running_stage_is_known(docker_runtime: DockerRuntime, make_order: OrderMaker) -> None:
    container = docker_runtime.start(make_order("sleep", "300"), image_digest=None)
    (found,) = docker_runtime.list()
    assert found.pid is not None
    first = psutil.Process(found.pid)
    until(lambda: ["sleep", "300"] in [process.cmdline() for process in first.children(recursive=True)])
    docker_runtime.stop(container)
    assert docker_runtime.wait(container).pid is None
