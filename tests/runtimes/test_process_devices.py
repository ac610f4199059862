"""Which GPUs a plain process sees, and which ones are taken by what was started here."""

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.process.devices import with_devices
from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.codec.log import read_lines
from reconciler.config import ProcessConfig
from reconciler.core.containers import Container, Order
from reconciler.core.names import NodeName, ShareId
from reconciler.core.nodes import Gpu

OrderMaker = Callable[..., Order]

ONE, TWO = Gpu(uuid="GPU-1"), Gpu(uuid="GPU-2")
HIDDEN = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "", "ROCR_VISIBLE_DEVICES": ""}


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_a_stage_without_gpus_sees_none_of_either_vendor() -> None:
    assert with_devices({"A": "b"}, ()) == {"A": "b"} | HIDDEN


def test_nvidia_gpus_are_named_by_uuid_in_the_order_of_the_bus() -> None:
    assert with_devices({}, (ONE, TWO)) == HIDDEN | {"CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2"}


@pytest.mark.parametrize("uuid", ["GPU-93C2F0A1B4D5E6F7", "0x93c2f0a1b4d5e6f7", "93c2f0a1b4d5e6f7"])
def test_amd_gpus_are_named_to_rocm_by_their_unique_id(uuid: str) -> None:
    """Variables that would choose once more among those stay unset, also CUDA's."""
    assert with_devices({}, (Gpu(uuid=uuid, vendor="amd"),)) == {"ROCR_VISIBLE_DEVICES": "GPU-93c2f0a1b4d5e6f7"}


def test_amd_gpus_without_an_id_are_named_by_their_number_among_the_drivers_devices(tmp_path: Path) -> None:
    for number, (simds, minor) in enumerate([(0, 0), (256, 129), (304, 128)] + [(0, 0)] * 8 + [(64, 130)]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "properties").write_text(f"simd_count {simds}\ndrm_render_minor {minor}\n")
    gpus = [Gpu(uuid=f"0000:0{i}:00.0", vendor="amd", device=f"/dev/dri/renderD{i}") for i in (128, 130)]
    assert with_devices({}, gpus, topology=tmp_path) == {"ROCR_VISIBLE_DEVICES": "1,2"}


def test_neither_the_node_nor_the_stage_can_choose_other_gpus(
    tmp_path: Path, make_order: OrderMaker, claim_directory: Path, share: ShareId
) -> None:
    """Schemas refuse it already; whatever comes this far is overruled."""
    others = dict.fromkeys((*HIDDEN, "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"), "7")
    config = ProcessConfig(environment=others, stop_grace=timedelta(seconds=1))
    runtime = ProcessRuntime(config, local=tmp_path / "local", boot="b", node=NodeName("lab-1"), share=share)
    order = make_order("env", environment=others, gpus=(ONE,))
    runtime.follow_log(runtime.start(order, image_digest=None), str(claim_directory / "log.jsonl"))
    seen = dict(line.line.split("=", 1) for line in read_lines(claim_directory / "log.jsonl").lines)
    assert {name: seen.get(name) for name in others} == HIDDEN | {
        "CUDA_VISIBLE_DEVICES": "GPU-1", "HIP_VISIBLE_DEVICES": None, "GPU_DEVICE_ORDINAL": None
    }  # fmt: skip


def test_a_process_holds_its_gpus_until_it_has_ended(process_runtime: ProcessRuntime, make_order: OrderMaker) -> None:
    order = make_order("sleep", "300", gpus=(ONE, TWO))
    container = process_runtime.start(order, image_digest=None)
    assert container.gpus == ("GPU-1", "GPU-2")
    assert process_runtime.held() == {order.key: frozenset({"GPU-1", "GPU-2"})}
    process_runtime.stop(container)
    process_runtime.wait(container)
    assert process_runtime.held() == {}


def test_what_runs_for_another_share_holds_its_gpus_too(
    process_runtime: ProcessRuntime, make_order: OrderMaker, tmp_path: Path
) -> None:
    order = make_order("sleep", "300", gpus=(ONE,))
    container = process_runtime.start(order, image_digest=None)
    other = ProcessRuntime(
        ProcessConfig(), local=tmp_path / "local", boot=container.boot, node=NodeName("b"), share=ShareId("other")
    )
    assert list(other.list()) == []
    assert other.held() == {order.key: frozenset({"GPU-1"})}


def test_a_process_of_before_a_reboot_holds_nothing(
    process_runtime: ProcessRuntime, make_order: OrderMaker, tmp_path: Path, share: ShareId
) -> None:
    process_runtime.start(make_order("sleep", "300", gpus=(ONE,)), image_digest=None)
    rebooted = ProcessRuntime(
        ProcessConfig(), local=tmp_path / "local", boot="another", node=NodeName("lab-1"), share=share
    )
    assert rebooted.held() == {}


def test_what_a_program_has_started_holds_its_gpus_when_the_supervisor_was_killed(
    process_runtime: ProcessRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order("sh", "-c", "setsid sleep 300 & echo $!; wait", gpus=(ONE,))
    container = process_runtime.start(order, image_digest=None)
    if not _state(container)["groups"]:
        pytest.skip("without control groups nobody knows what has left the program's session")
    until(lambda: (claim_directory / "log.jsonl").exists() and read_lines(claim_directory / "log.jsonl").lines)
    os.kill(_state(container)["supervisor"]["pid"], signal.SIGKILL)
    ended = process_runtime.wait(container)
    assert process_runtime.held() == {order.key: frozenset({"GPU-1"})}
    process_runtime.remove(ended)
    assert process_runtime.held() == {}


def _state(container: Container) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(Path(container.handle).read_text())
    return found
