"""What was started for a share that has been rebuilt since is still found and stopped; another share's is not."""

from collections.abc import Callable
from pathlib import Path

import docker

from reconciler.adapters.docker import DockerRuntime
from reconciler.adapters.host import LinuxHost
from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.agent.ports import Runtime
from reconciler.config import DockerConfig, ProcessConfig
from reconciler.core.containers import ContainerState
from reconciler.core.names import ShareId
from tests.runtimes.conftest import GRACE, NODE, OrderMaker

NEW = ShareId("new")
Open = Callable[[frozenset[ShareId]], Runtime]


def check(former: Runtime, later: Open, make_order: OrderMaker, share: ShareId) -> None:
    started = former.start(make_order("sleep", "60"), image_digest=None)
    assert list(later(frozenset()).list()) == []
    heir = later(frozenset({ShareId("older"), share}))
    [found] = heir.list()
    assert found.key == started.key
    heir.stop(found)
    [ended] = heir.list()
    assert ended.state is ContainerState.EXITED
    heir.remove(ended)
    assert list(heir.list()) == []


def test_processes_of_a_former_identity(
    process_runtime: ProcessRuntime, make_order: OrderMaker, share: ShareId, tmp_path: Path
) -> None:
    def later(replaced: frozenset[ShareId]) -> ProcessRuntime:
        config, boot = ProcessConfig(stop_grace=GRACE), LinuxHost().boot()
        return ProcessRuntime(config, local=tmp_path / "local", boot=boot, node=NODE, share=NEW, replaced=replaced)

    check(process_runtime, later, make_order, share)


def test_containers_of_a_former_identity(
    docker_runtime: DockerRuntime, make_order: OrderMaker, share: ShareId, engine: docker.DockerClient
) -> None:
    opened: list[DockerRuntime] = []

    def later(replaced: frozenset[ShareId]) -> DockerRuntime:
        config, boot = DockerConfig(stop_grace=GRACE), LinuxHost().boot()
        opened.append(DockerRuntime(config, boot=boot, node=NODE, share=NEW, replaced=replaced))
        return opened[-1]

    try:
        check(docker_runtime, later, make_order, share)
    finally:
        for one in opened:
            one.close()
