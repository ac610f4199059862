"""What only containers need, against a real engine."""

import contextlib
import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from reconciler.adapters.docker import DockerRuntime
from reconciler.codec.log import read_lines
from reconciler.config import DockerConfig
from reconciler.core.containers import ContainerState, Order
from reconciler.core.desired import Pull
from reconciler.core.names import NodeName, ShareId
from reconciler.core.nodes import Gpu
from reconciler.errors import EngineUnavailable, StartFailed

OrderMaker = Callable[..., Order]
NUMBERED = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo out $i; echo err $i >&2; usleep 4000; done"


class Relay:
    """A socket in front of the engine whose connections a test can cut."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(50)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):  # closed by its peer already
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect("/var/run/docker.sock")
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    relay = Relay(tmp_path / "engine.sock")
    yield relay
    relay.close()


def numbers(path: Path, stream: str) -> list[int]:
    return [int(x.line.split()[1]) for x in read_lines(path, limit=10**8).lines if x.stream == stream]


def until_lines(path: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(read_lines(path).lines) < count:
        assert time.monotonic() < deadline, "the lines did not come"
        time.sleep(0.01)


def test_containers_are_labelled_and_hardened(
    docker_runtime: DockerRuntime, engine: docker.DockerClient, make_order: OrderMaker
) -> None:
    order = make_order("sleep", "60", memory=64 << 20, cpus=0.5, shm_size=8 << 20)
    container = docker_runtime.start(order, image_digest=None)
    found = engine.api.inspect_container(container.handle)
    host, config, key = found["HostConfig"], found["Config"], order.key
    assert found["Name"] == f"/{key.slug}"
    assert {k: v for k, v in config["Labels"].items() if k != "winslow.image"} == {
        "winslow.share": key.share,
        "winslow.project": "ulm",
        "winslow.run": str(key.run),
        "winslow.stage": "detect",
        "winslow.number": "1",
        "winslow.token": key.token,
        "winslow.node": "lab-1",
        "winslow.boot": container.boot,
        "winslow.gpus": "",
        "winslow.gpus.shared": "false",
    }
    assert (host["NetworkMode"], host["CapDrop"], host["SecurityOpt"]) == ("none", ["ALL"], ["no-new-privileges"])
    assert (host["AutoRemove"], host["RestartPolicy"]["Name"], host["Init"]) == (False, "no", True)
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 << 20, 64 << 20, 500_000_000)
    assert (host["ShmSize"], host["PidsLimit"], host["Privileged"]) == (8 << 20, 8192, False)
    owner = Path(order.paths.workspace).stat()
    assert (config["User"], config["WorkingDir"]) == (f"{owner.st_uid}:{owner.st_gid}", "/workspace")
    assert {m["Target"]: m.get("ReadOnly", False) for m in host["Mounts"]} == {
        "/workspace": False,
        "/output": False,
        "/input": True,
        "/resources": True,
    }


def test_a_stage_writes_its_workspace_but_not_its_inputs(
    docker_runtime: DockerRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order("sh", "-c", 'echo x >"$WINSLOW_WORKSPACE/a" && ! echo x >/resources/b && ! echo x >/input/b')
    assert docker_runtime.wait(docker_runtime.start(order, image_digest=None)).exit_code == 0
    assert (claim_directory / "workspace/a").read_text() == "x\n"
    assert list((claim_directory / "resources").iterdir()) == []


def test_what_people_do_to_containers_is_told_at_once(
    docker_runtime: DockerRuntime, engine: docker.DockerClient, make_order: OrderMaker
) -> None:
    told = threading.Event()
    docker_runtime.watch(told.set)
    assert told.wait(30)
    container = engine.containers.get(docker_runtime.start(make_order("sleep", "300"), image_digest=None).handle)
    for act in (container.pause, container.unpause, container.kill, container.remove):
        while told.wait(1.0):  # until nothing more comes of what was done before
            told.clear()
        act()
        assert told.wait(30)


def test_a_paused_container_runs_and_is_paused(
    docker_runtime: DockerRuntime, engine: docker.DockerClient, make_order: OrderMaker
) -> None:
    container = docker_runtime.start(make_order("sleep", "300"), image_digest=None)
    engine.containers.get(container.handle).pause()
    (found,) = docker_runtime.list()
    assert (found.state, found.paused) == (ContainerState.RUNNING, True)
    docker_runtime.stop(found)
    assert docker_runtime.wait(found).state is ContainerState.EXITED


def test_a_container_removed_by_somebody_else_is_known_as_such(
    docker_runtime: DockerRuntime, engine: docker.DockerClient, make_order: OrderMaker
) -> None:
    container = docker_runtime.start(make_order("true"), image_digest=None)
    docker_runtime.wait(container)
    engine.containers.get(container.handle).remove()
    ended = docker_runtime.wait(container)
    assert (ended.state, ended.exit_code, ended.removed) == (ContainerState.EXITED, None, True)


def test_the_listing_tells_of_a_container_that_was_never_started(
    docker_runtime: DockerRuntime, make_order: OrderMaker
) -> None:
    """As much as looking at it does, which would wait for a start under way."""
    order = make_order("true")
    image = docker_runtime.images.resolve(str(order.image), order.pull)
    created = docker_runtime._create(order, image)
    assert list(docker_runtime.list()) == [created]


def test_running_out_of_memory_is_told_apart(docker_runtime: DockerRuntime, make_order: OrderMaker) -> None:
    order = make_order("sh", "-c", "tail /dev/zero", memory=16 << 20)
    ended = docker_runtime.wait(docker_runtime.start(order, image_digest=None))
    assert (ended.oom_killed, ended.exit_code) == (True, 137)


def test_gpus_without_their_runtime_leave_no_container_behind(
    docker_runtime: DockerRuntime, make_order: OrderMaker
) -> None:
    with pytest.raises(StartFailed, match="nvidia-container-toolkit") as failure:
        docker_runtime.start(make_order("true", gpus=(Gpu(uuid="GPU-1"),)), image_digest=None)
    assert failure.value.reason == "GpuRuntimeMissing"
    assert list(docker_runtime.list()) == []


def test_more_cpus_than_the_machine_has_are_refused_in_the_engines_words(
    docker_runtime: DockerRuntime, make_order: OrderMaker
) -> None:
    with pytest.raises(StartFailed, match="CPUs") as failure:
        docker_runtime.start(make_order("true", cpus=4096.0), image_digest=None)
    assert failure.value.reason == "BadRequest"


def test_a_foreign_container_with_our_name_is_not_taken_for_ours(
    docker_runtime: DockerRuntime, engine: docker.DockerClient, make_order: OrderMaker
) -> None:
    order = make_order("true")
    foreign = engine.containers.create(str(order.image), ["true"], name=order.key.slug)
    try:
        with pytest.raises(StartFailed, match="foreign") as failure:
            docker_runtime.start(order, image_digest=None)
        assert failure.value.reason == "NameTaken"
    finally:
        foreign.remove()


def test_a_container_that_was_created_but_not_started_is_started(
    docker_runtime: DockerRuntime, engine: docker.DockerClient, make_order: OrderMaker
) -> None:
    """A reconciler was killed between the two requests."""
    order = make_order("sh", "-c", "exit 9")
    image = docker_runtime.images.resolve(str(order.image), order.pull)
    created = docker_runtime._create(order, image)
    assert engine.api.inspect_container(created.handle)["State"]["Status"] == "created"
    assert docker_runtime.wait(docker_runtime.start(order, image_digest=image)).exit_code == 9


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_is_not_there_is_reported_at_once(tmp_path: Path) -> None:
    """The SDK leaves the socket of a refused connection to the garbage collector, hence the filter."""
    config = DockerConfig(host=f"unix://{tmp_path}/nobody.sock")
    runtime = DockerRuntime(config, boot="b", node=NodeName("lab-1"), share=ShareId("s"))
    began = time.monotonic()
    for ask in (runtime.check, runtime.list, lambda: runtime.images.resolve("a:1", Pull.MISSING)):
        with pytest.raises(EngineUnavailable, match="systemctl start docker"):
            ask()
    assert time.monotonic() - began < 5
    gc.collect()


@pytest.mark.usefixtures("engine")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_cut_connections_cost_no_line_and_double_none(
    docker_runtime: DockerRuntime, relay: Relay, make_order: OrderMaker, claim_directory: Path, share: ShareId
) -> None:
    """The SDK leaves the socket of a cut connection to the garbage collector, hence the filter."""
    container = docker_runtime.start(make_order("sh", "-c", NUMBERED), image_digest=None)
    config = DockerConfig(host=relay.url)
    behind = DockerRuntime(config, boot=container.boot, node=NodeName("lab-1"), share=share)
    path = claim_directory / "log.jsonl"
    follower = threading.Thread(target=behind.follow_log, args=(container, str(path)))
    follower.start()
    for count in (50, 250, 450):
        until_lines(path, count)
        relay.cut()
    follower.join(timeout=60)
    assert not follower.is_alive()
    assert numbers(path, "stdout") == list(range(1, 401))
    assert numbers(path, "stderr") == list(range(1, 401))
    behind.close()
    gc.collect()


@pytest.mark.parametrize("kept", [0, 1, 7, 400, 555, 800])
def test_a_log_goes_on_behind_what_a_killed_reconciler_had_written(
    docker_runtime: DockerRuntime, make_order: OrderMaker, claim_directory: Path, kept: int
) -> None:
    """Cut at a line, and the next one torn: everything is there again, once, and byte for byte."""
    burst = NUMBERED.replace("usleep 4000; ", "")
    container = docker_runtime.start(make_order("sh", "-c", burst), image_digest=None)
    path = claim_directory / "log.jsonl"
    docker_runtime.follow_log(container, str(path))
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 800
    torn = lines[kept][:20] if kept < 800 else b'{"t":"2026'
    path.write_bytes(b"".join(lines[:kept]) + torn)
    summary = docker_runtime.follow_log(container, str(path))
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(lines)
    assert path.read_bytes().startswith(b"".join(lines[:kept]))
    assert summary.pointer.bytes == path.stat().st_size


def test_lines_longer_than_the_engines_buffer_are_put_together(
    docker_runtime: DockerRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order("sh", "-c", "head -c 50000 /dev/zero | tr '\\0' x; echo; echo next; printf 'no end'")
    docker_runtime.follow_log(docker_runtime.start(order, image_digest=None), str(claim_directory / "log.jsonl"))
    lines = read_lines(claim_directory / "log.jsonl").lines
    assert [line.line for line in lines] == ["x" * 50_000, "next", "no end"]


def test_twenty_megabytes_of_output_arrive_whole(
    docker_runtime: DockerRuntime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order(
        "sh", "-c", "head -c 10000 /dev/zero | tr '\\0' x >l; echo >>l; for i in $(seq 2000); do cat l; done"
    )
    container = docker_runtime.start(order, image_digest=None)
    summary = docker_runtime.follow_log(container, str(claim_directory / "log.jsonl"))
    assert summary.pointer.lines == 2000
    assert summary.pointer.bytes > 20_000_000
