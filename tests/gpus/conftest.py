"""An engine that gives GPUs to containers, on a machine that has none."""

from collections.abc import Callable, Iterator

import docker
import pytest

from reconciler.adapters.docker import DockerRuntime
from reconciler.adapters.host import LinuxHost
from reconciler.config import DockerConfig
from reconciler.core.names import NodeName, ShareId
from tests.engine_faults.private import PrivateEngine, private_engine
from tests.runtimes import conftest as runtimes
from tests.runtimes.conftest import GRACE, NODE

claim_directory = runtimes.claim_directory
make_order = runtimes.make_order
share = runtimes.share

RuntimeMaker = Callable[..., DockerRuntime]


@pytest.fixture(scope="module")
def gpu_engine(engine: docker.DockerClient) -> Iterator[PrivateEngine]:  # it made the image
    yield from private_engine(gpus=True)


@pytest.fixture
def on_engine(gpu_engine: PrivateEngine, share: ShareId) -> Iterator[RuntimeMaker]:
    """``on_engine(node=..., share=...)``: one reconciler's runtime; all of them use one engine."""
    made: list[DockerRuntime] = []

    def make(node: NodeName = NODE, share: ShareId = share) -> DockerRuntime:
        config = DockerConfig(host=gpu_engine.host, stop_grace=GRACE)
        made.append(DockerRuntime(config, boot=LinuxHost().boot(), node=node, share=share))
        return made[-1]

    yield make
    for runtime in made:
        for container in runtime.list():
            runtime.stop(container)
            runtime.remove(container)
        runtime.close()
