"""Which GPUs a container gets, through a real engine: those of its claim by UUID, and no others."""

import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from reconciler.adapters.docker import DockerRuntime, devices
from reconciler.codec.log import read_lines
from reconciler.core.containers import Container, ContainerState, Order
from reconciler.core.labels import labels_of
from reconciler.core.names import NodeName, ShareId
from reconciler.core.nodes import Gpu
from reconciler.errors import GpuLost
from tests.engine import IMAGE
from tests.engine_faults.private import PrivateEngine

ONE, TWO, THREE = (Gpu(uuid=f"GPU-0000000{n}-0000-4000-8000-000000000000") for n in (1, 2, 3))
GREEDY = "winslow-test/greedy:1"

OrderMaker = Callable[..., Order]
RuntimeMaker = Callable[..., DockerRuntime]


def seen_by(runtime: DockerRuntime, order: Order) -> dict[str, str]:
    """The environment of the program itself, as it prints it."""
    order = replace(order, command=("env",))
    runtime.follow_log(runtime.start(order, image_digest=None), f"{order.paths.claim}/log.jsonl")
    lines = read_lines(Path(order.paths.claim) / "log.jsonl").lines
    return dict(line.line.split("=", 1) for line in lines)


def start(runtime: DockerRuntime, order: Order) -> Container:
    return runtime.start(order, image_digest=None)


@pytest.fixture(scope="module")
def greedy(gpu_engine: PrivateEngine) -> str:
    """An image that asks for all GPUs, as those do that are built on NVIDIA's."""
    name = gpu_engine("create", IMAGE, "true")
    gpu_engine("commit", "--change", "ENV NVIDIA_VISIBLE_DEVICES=all AMD_VISIBLE_DEVICES=all", name, GREEDY)
    gpu_engine("rm", name)
    return GREEDY


def test_a_program_sees_exactly_the_gpus_of_its_claim(
    on_engine: RuntimeMaker, make_order: OrderMaker, gpu_engine: PrivateEngine
) -> None:
    order = make_order("true", gpus=(TWO, THREE))
    seen = seen_by(on_engine(), order)
    both = f"{TWO.uuid},{THREE.uuid}"
    assert (seen["NVIDIA_VISIBLE_DEVICES"], seen["WINSLOW_GPUS"]) == (both, both)
    assert set(seen["NVIDIA_DRIVER_CAPABILITIES"].split(",")) == {"compute", "utility", "video"}
    assert seen["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    asked = gpu_engine("inspect", order.key.slug, "--format", "{{json .HostConfig.DeviceRequests}}")
    assert f'"DeviceIDs":["{TWO.uuid}","{THREE.uuid}"]' in asked
    assert '"Count":0' in asked


def test_a_stage_without_gpus_sees_none_whatever_its_image_asks_for(
    on_engine: RuntimeMaker, make_order: OrderMaker, greedy: str
) -> None:
    """Were NVIDIA's runtime the engine's default, such an image would get every GPU of the machine."""
    seen = seen_by(on_engine(), make_order("true", image=greedy))
    assert seen["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "AMD_VISIBLE_DEVICES" not in seen
    assert seen["WINSLOW_GPUS"] == ""


def test_an_image_that_asks_for_all_gpus_gets_those_of_the_claim(
    on_engine: RuntimeMaker, make_order: OrderMaker, greedy: str
) -> None:
    seen = seen_by(on_engine(), make_order("true", image=greedy, gpus=(ONE,)))
    assert seen["NVIDIA_VISIBLE_DEVICES"] == ONE.uuid


def test_a_run_recorded_before_such_names_were_refused_gets_no_other_gpus(
    on_engine: RuntimeMaker, make_order: OrderMaker
) -> None:
    wanted = {"NVIDIA_VISIBLE_DEVICES": "all"}
    runtime = on_engine()
    assert seen_by(runtime, make_order("true", environment=wanted))["NVIDIA_VISIBLE_DEVICES"] == "void"
    for container in runtime.list():
        Path(make_order().paths.claim, "log.jsonl").unlink()
        runtime.remove(container)
    assert seen_by(runtime, make_order("true", environment=wanted, gpus=(ONE,)))["NVIDIA_VISIBLE_DEVICES"] == ONE.uuid


def test_amds_gpus_come_as_device_files_with_their_groups(
    on_engine: RuntimeMaker, make_order: OrderMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Device files of the test's own stand for the driver's."""
    nodes = tmp_path / "kfd", tmp_path / "renderD129"
    for node, group in zip(nodes, (4401, 4402), strict=True):
        make_null_device(node, group)
    monkeypatch.setattr(devices, "KFD", str(nodes[0]))
    gpu = Gpu(uuid="0x7c2a", vendor="amd", device=str(nodes[1]))
    order = make_order("sh", "-c", f"id -G; stat -c %t:%T {nodes[1]}; ls {tmp_path}", gpus=(gpu,))
    runtime = on_engine()
    container = start(runtime, order)
    runtime.follow_log(container, f"{order.paths.claim}/log.jsonl")
    groups, device, *others = (line.line for line in read_lines(Path(order.paths.claim) / "log.jsonl").lines)
    assert {"4401", "4402"} <= set(groups.split())
    assert device == "1:3"
    assert others == ["kfd", "renderD129"]
    assert runtime.list()[0].gpus == ("0x7c2a",)


def test_an_amd_gpu_whose_device_file_is_gone_is_lost(on_engine: RuntimeMaker, make_order: OrderMaker) -> None:
    gpu = Gpu(uuid="0x7c2a", vendor="amd", device="/dev/dri/renderD999")
    runtime = on_engine()
    with pytest.raises(GpuLost, match="can't be reached") as lost:
        start(runtime, make_order("true", gpus=(gpu,)))
    assert lost.value.is_refused
    assert list(runtime.list()) == []


@pytest.mark.parametrize(
    "words",
    [
        f"nvidia-container-cli: device error: {ONE.uuid}: unknown device",
        "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch",
    ],
)
def test_a_gpu_that_only_the_engine_misses_is_lost_and_uses_an_attempt(
    gpu_engine: PrivateEngine, on_engine: RuntimeMaker, make_order: OrderMaker, words: str
) -> None:
    """It may be missed again at once: only attempts put an end to that."""
    gpu_engine.hook_says(words)
    runtime = on_engine()
    try:
        with pytest.raises(GpuLost, match=words.rpartition(": ")[2]) as lost:
            start(runtime, make_order("true", gpus=(ONE,)))
    finally:
        gpu_engine.hook_says("")
    assert (lost.value.counts, lost.value.is_refused) == (True, True)
    assert list(runtime.list()) == []
    assert runtime.held() == {}


# --- the table of what is in use ---


def test_gpus_are_in_use_from_creation_until_the_end(
    on_engine: RuntimeMaker, make_order: OrderMaker, gpu_engine: PrivateEngine
) -> None:
    runtime = on_engine()
    created = runtime._create(make_order("sleep", "300", gpus=(ONE,)), IMAGE)
    running = start(runtime, make_order("sleep", "300", gpus=(TWO,)))
    paused = start(runtime, make_order("sleep", "300", gpus=(THREE,)))
    gpu_engine("pause", paused.key.slug)
    expected = {created.key: {ONE.uuid}, running.key: {TWO.uuid}, paused.key: {THREE.uuid}}
    assert runtime.held() == expected
    assert {one.key: set(one.gpus) for one in runtime.list()} == expected
    for container in (running, paused):
        runtime.stop(container)
    assert runtime.held() == {created.key: {ONE.uuid}}


def test_what_other_reconcilers_of_the_machine_use_is_in_use(on_engine: RuntimeMaker, make_order: OrderMaker) -> None:
    """Under another name, or for another share: one engine serves them all."""
    order, second, third = (make_order("sleep", "300", gpus=(gpu,)) for gpu in (ONE, TWO, THREE))
    elsewhere = replace(third, key=replace(third.key, share=ShareId("another")))
    neighbour, foreigner = on_engine(node=NodeName("lab-2")), on_engine(share=ShareId("another"))
    start(neighbour, replace(second, node=NodeName("lab-2")))
    start(foreigner, elsewhere)
    mine = on_engine()
    start(mine, order)
    assert mine.held() == {order.key: {ONE.uuid}, second.key: {TWO.uuid}, elsewhere.key: {THREE.uuid}}
    assert [one.key for one in mine.list()] == [order.key]


def test_a_container_of_an_earlier_winslow_counts_by_what_it_asked_for(
    on_engine: RuntimeMaker, make_order: OrderMaker, gpu_engine: PrivateEngine
) -> None:
    """Its labels don't say; it runs on while Winslow is upgraded."""
    order = make_order("sleep", "300")
    labels = [f"--label={name}={value}" for name, value in labels_of(order.key, order.node).items()]
    gpu_engine(
        "run",
        "-d",
        "--name",
        order.key.slug,
        "--network=none",
        *labels,
        f"--gpus=device={ONE.uuid}",
        IMAGE,
        "sleep",
        "300",
    )
    runtime = on_engine()
    assert runtime.held() == {order.key: {ONE.uuid}}
    assert runtime.list()[0].gpus == (ONE.uuid,)


def test_a_gpu_that_another_container_holds_is_not_given_again(on_engine: RuntimeMaker, make_order: OrderMaker) -> None:
    """Two reconcilers on one machine that both offer it, or a claim made before the table was read again."""
    first = make_order("sleep", "300", gpus=(ONE, TWO))
    start(on_engine(), first)
    neighbour = on_engine(node=NodeName("lab-2"))
    second = replace(make_order("true", gpus=(TWO, THREE)), node=NodeName("lab-2"))
    with pytest.raises(GpuLost, match=f"{TWO.uuid} is in use by the container {first.key.slug}"):
        start(neighbour, second)
    assert list(neighbour.list()) == []
    assert neighbour.held() == {first.key: {ONE.uuid, TWO.uuid}}


def test_stages_that_share_get_the_same_gpu_and_others_do_not(on_engine: RuntimeMaker, make_order: OrderMaker) -> None:
    runtime = on_engine()
    for _ in range(2):
        start(runtime, make_order("sleep", "300", gpus=(ONE,), shares_gpus=True))
    assert [one.state for one in runtime.list()] == [ContainerState.RUNNING] * 2
    with pytest.raises(GpuLost):
        start(runtime, make_order("true", gpus=(ONE,)))


def test_two_reconcilers_that_start_at_once_never_both_get_a_gpu(
    on_engine: RuntimeMaker, make_order: OrderMaker
) -> None:
    runtimes = on_engine(), on_engine(node=NodeName("lab-2"))
    for _ in range(5):
        orders = [
            replace(make_order("sleep", "300", gpus=(ONE,)), node=node)
            for node in (NodeName("lab-1"), NodeName("lab-2"))
        ]
        threads = [threading.Thread(target=try_to_start, args=pair) for pair in zip(runtimes, orders, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        running = [(runtime, one) for runtime in runtimes for one in runtime.list()]
        assert len(running) <= 1
        for runtime, container in running:
            runtime.stop(container)
            runtime.remove(container)


def try_to_start(runtime: DockerRuntime, order: Order) -> None:
    try:
        start(runtime, order)
    except GpuLost:
        return


# --- the engine's own device interface (CDI), which the engine here is too old for ---


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=GPU-1"}]}, ["nvidia.com/gpu=GPU-1"]),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}], "CDISpecDirs": ["/etc/cdi"]}, None),
        ({"DiscoveredDevices": None, "CDISpecDirs": ["/etc/cdi"], "Runtimes": {"runc": {}}}, ["nvidia.com/gpu=GPU-1"]),
        ({"CDISpecDirs": ["/etc/cdi"], "Runtimes": {"runc": {}, "nvidia": {}}}, None),
        ({"CDISpecDirs": [], "Runtimes": {"runc": {}}}, None),
        ({"Runtimes": {"runc": {}}}, None),
    ],
    ids=["listed", "not listed", "switched on", "with NVIDIA's runtime", "switched off", "unknown to the engine"],
)
def test_the_engines_own_device_interface_is_used_where_it_knows_the_gpu(
    info: dict[str, object], expected: list[str] | None
) -> None:
    assert devices.cdi_names(["GPU-1"], info) == expected


def test_through_the_engines_own_interface_nothing_but_names_is_asked_for(make_order: OrderMaker) -> None:
    """It refuses a count and options; the variable that NVIDIA's hook reads must not add to it."""
    info = {"DiscoveredDevices": [{"ID": f"nvidia.com/gpu={ONE.uuid}"}]}
    given = devices.devices(make_order("true", gpus=(ONE,)), lambda: info)
    (request,) = given.host["device_requests"]
    assert (request.driver, request.device_ids) == ("cdi", [f"nvidia.com/gpu={ONE.uuid}"])
    assert (request.count, request.options, request.capabilities) == (0, {}, [])
    assert given.environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_gpus_by_the_engines_own_interface_are_found_again() -> None:
    requests = [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=GPU-1", "nvidia.com/gpu=GPU-2"]}]
    inspected = {"Config": {"Labels": {}}, "HostConfig": {"DeviceRequests": requests}}
    assert devices.held_devices(inspected) == ("GPU-1", "GPU-2")


def test_the_engine_is_not_asked_about_devices_for_stages_without_gpus(make_order: OrderMaker) -> None:
    def refuse() -> dict[str, object]:
        raise docker.errors.DockerException("asked")

    assert devices.devices(make_order("true"), refuse).host == {}


def make_null_device(path: Path, group: int) -> None:
    os.mknod(path, 0o660 | stat.S_IFCHR, os.makedev(1, 3))
    os.chown(path, 0, group)
