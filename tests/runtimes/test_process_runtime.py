"""What only processes need: a supervisor that outlives the reconciler and loses nothing."""

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

from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.codec.log import read_lines
from reconciler.config import ProcessConfig
from reconciler.core.containers import Container, ContainerState, Order
from reconciler.core.names import NodeName, ShareId
from reconciler.core.nodes import Gpu
from reconciler.errors import StartFailed

OrderMaker = Callable[..., Order]

RECONCILER = """
import sys, time
from pathlib import Path
from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.config import ProcessConfig
from reconciler.core.containers import ClaimKey, Order, Paths
local, boot, at, share = sys.argv[1:]
key = ClaimKey(share=share, project="ulm", run=7, stage="detect", number=1, token="ab" * 16)
paths = Paths(claim=at, workspace=at, output=at, input=at, resources=at)
script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; sleep 0.002; done; exit 5"
order = Order(key=key, node="lab-1", image=None, command=("sh", "-c", script), environment={}, paths=paths)
ProcessRuntime(ProcessConfig(), local=Path(local), boot=boot, node="lab-1", share=share).start(order, image_digest=None)
print("started", flush=True)
time.sleep(60)
"""


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def supervisor_of(container: Container) -> int:
    return int(json.loads(Path(container.handle).read_text())["supervisor"]["pid"])


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_killing_the_reconciler_loses_neither_the_program_nor_a_line(
    process_runtime: ProcessRuntime, claim_directory: Path, tmp_path: Path, share: ShareId
) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    arguments = [str(tmp_path / "local"), boot, str(claim_directory), share]
    with subprocess.Popen([sys.executable, "-c", RECONCILER, *arguments], stdout=subprocess.PIPE) as reconciler:
        assert reconciler.stdout is not None
        assert reconciler.stdout.readline() == b"started\n"
        os.kill(reconciler.pid, signal.SIGKILL)
    (found,) = process_runtime.list()
    assert found.state is ContainerState.RUNNING
    summary = process_runtime.follow_log(found, str(claim_directory / "log.jsonl"))
    lines = read_lines(claim_directory / "log.jsonl").lines
    assert [line.line for line in lines] == [f"line {i}" for i in range(1, 301)]
    assert summary.pointer.lines == 300
    assert process_runtime.wait(found).exit_code == 5


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order("sh", "-c", "trap '' TERM; echo ready; while true; do sleep 1; done")
    container = process_runtime.start(order, image_digest=None)
    until(lambda: read_lines(claim_directory / "log.jsonl").lines)
    began = time.monotonic()
    process_runtime.stop(container)
    assert 0.9 < time.monotonic() - began < 5
    assert process_runtime.wait(container).exit_code == 137
    remarks = [line.line for line in read_lines(claim_directory / "log.jsonl").lines if line.stream == "winslow"]
    assert remarks == ["asked to stop; it will be killed in 1 s", "did not stop in time; killed"]


def test_what_a_program_leaves_running_is_killed_when_it_ends(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    container = process_runtime.start(make_order("sh", "-c", "sleep 300 & echo $!; exit 0"), image_digest=None)
    process_runtime.wait(container)
    (line,) = read_lines(claim_directory / "log.jsonl").lines
    until(lambda: not is_alive(int(line.line)))


def test_a_vanished_supervisor_takes_its_program_with_it_and_leaves_no_exit_code(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order("sh", "-c", "echo $$; sleep 300 & echo $!; wait")
    container = process_runtime.start(order, image_digest=None)
    until(lambda: len(read_lines(claim_directory / "log.jsonl").lines) == 2)
    os.kill(supervisor_of(container), signal.SIGKILL)
    ended = process_runtime.wait(container)
    assert (ended.state, ended.exit_code, ended.error) == (ContainerState.EXITED, None, "supervisor vanished")
    program, helper = (int(line.line) for line in read_lines(claim_directory / "log.jsonl").lines)
    until(lambda: not is_alive(program))
    process_runtime.remove(ended)
    until(lambda: not is_alive(helper))


def test_an_end_is_not_believed_of_a_process_from_another_boot(
    process_runtime: ProcessRuntime, make_order: OrderMaker, tmp_path: Path, share: ShareId
) -> None:
    container = process_runtime.start(make_order("sh", "-c", "sleep 300"), image_digest=None)
    rebooted = ProcessRuntime(
        ProcessConfig(),
        local=tmp_path / "local",
        boot="another",
        node=NodeName("lab-1"),
        share=share,
    )
    (found,) = rebooted.list()
    assert (found.state, found.exit_code, found.boot) == (ContainerState.EXITED, None, container.boot)
    assert process_runtime.list()[0].state is ContainerState.RUNNING


def test_a_supervisor_ignores_what_a_terminal_sends(process_runtime: ProcessRuntime, make_order: OrderMaker) -> None:
    container = process_runtime.start(make_order("sh", "-c", "sleep 0.3; exit 6"), image_digest=None)
    supervisor = supervisor_of(container)
    assert os.getsid(supervisor) != os.getsid(0)
    os.kill(supervisor, signal.SIGINT)
    os.kill(supervisor, signal.SIGHUP)
    assert process_runtime.wait(container).exit_code == 6


def test_no_supervisor_stays_behind_as_a_zombie(process_runtime: ProcessRuntime, make_order: OrderMaker) -> None:
    process_runtime.wait(process_runtime.start(make_order("sh", "-c", "exit 0"), image_digest=None))
    assert [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE] == []


def test_only_path_home_and_lang_of_the_reconciler_reach_the_program(
    tmp_path: Path, make_order: OrderMaker, claim_directory: Path, share: ShareId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGE_TOKEN", "s3cret")
    config = ProcessConfig(environment={"LANG": "C", "MODEL": "site"}, stop_grace=timedelta(seconds=1))
    runtime = ProcessRuntime(config, local=tmp_path / "local", boot="b", node=NodeName("lab-1"), share=share)
    order = make_order("env", environment={"MODEL": "yolo"}, gpus=(Gpu(uuid="GPU-1"), Gpu(uuid="GPU-2")))
    runtime.follow_log(runtime.start(order, image_digest=None), str(claim_directory / "log.jsonl"))
    lines = read_lines(claim_directory / "log.jsonl").lines
    seen = dict(line.line.split("=", 1) for line in lines)
    assert {name for name in seen if not name.startswith("WINSLOW_")} == {
        "PATH", "HOME", "LANG", "MODEL", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "ROCR_VISIBLE_DEVICES"
    }  # fmt: skip
    assert (seen["LANG"], seen["MODEL"], seen["CUDA_VISIBLE_DEVICES"]) == ("C", "yolo", "GPU-1,GPU-2")
    assert seen["WINSLOW_WORKSPACE"] == order.paths.workspace


def test_secrets_appear_in_no_argument_of_the_supervisor_and_in_no_file(
    process_runtime: ProcessRuntime, make_order: OrderMaker
) -> None:
    order = make_order("sleep", "60", environment={"LICENCE": "s3cret"})
    container = process_runtime.start(order, image_digest=None)
    supervisor = psutil.Process(supervisor_of(container))
    assert "s3cret" not in " ".join([*supervisor.cmdline(), *supervisor.environ().values()])
    assert "s3cret" not in Path(container.handle).read_text()


def test_binary_output_is_kept_as_text_with_replacements(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order("sh", "-c", r"printf '\377\000\033[1mok\nnext\n'")
    process_runtime.follow_log(process_runtime.start(order, image_digest=None), str(claim_directory / "log.jsonl"))
    assert [x.line for x in read_lines(claim_directory / "log.jsonl").lines] == ["\ufffd\0\x1b[1mok", "next"]


def test_twenty_megabytes_of_output_arrive_whole(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order("sh", "-c", "seq -f '%099.0f' 200000")
    container = process_runtime.start(order, image_digest=None)
    summary = process_runtime.follow_log(container, str(claim_directory / "log.jsonl"))
    assert summary.pointer.lines == 200_000
    assert summary.pointer.tail[-1] == f"{200_000:099d}"


def test_a_stage_without_a_process_command_says_what_to_write(
    process_runtime: ProcessRuntime, make_order: OrderMaker
) -> None:
    with pytest.raises(StartFailed, match=r"process: \{command"):
        process_runtime.start(replace(make_order(), command=()), image_digest=None)
