import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker
import pytest

from reconciler.adapters.docker import DockerRuntime
from reconciler.adapters.host import LinuxHost
from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.agent.ports import Runtime
from reconciler.config import DockerConfig, ProcessConfig
from reconciler.core.containers import ClaimKey, Order, Paths
from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, ShareId, StageName, Token
from tests.engine import IMAGE
from tests.fakes.runtime import FakeRuntime

GRACE = timedelta(seconds=1)
NODE = NodeName("lab-1")

OrderMaker = Callable[..., Order]


@pytest.fixture
def share() -> ShareId:
    """A share of its own for each test, so that no test sees another's containers."""
    return ShareId(secrets.token_hex(8))


@pytest.fixture
def claim_directory(tmp_path: Path) -> Path:
    for name in ("workspace", "output", "input", "resources"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def make_order(claim_directory: Path, share: ShareId) -> OrderMaker:
    """``make_order("sh", "-c", "exit 3", memory=...)``: each call is another run."""
    runs = iter(range(1, 1000))

    def make(*command: str, **fields: Any) -> Order:
        key = ClaimKey(
            share=share,
            project=ProjectName("ulm"),
            run=RunNumber(next(runs)),
            stage=StageName("detect"),
            number=RecordNumber(1),
            token=Token(secrets.token_hex(16)),
        )
        at = claim_directory
        paths = Paths(
            claim=str(at),
            workspace=str(at / "workspace"),
            output=str(at / "output"),
            input=str(at / "input"),
            resources=str(at / "resources"),
        )
        defaults: dict[str, Any] = {"image": IMAGE, "environment": {}}
        return Order(key=key, node=NODE, command=command, paths=paths, **(defaults | fields))

    return make


@pytest.fixture
def process_runtime(tmp_path: Path, share: ShareId) -> Iterator[ProcessRuntime]:
    runtime = ProcessRuntime(
        ProcessConfig(stop_grace=GRACE), local=tmp_path / "local", boot=LinuxHost().boot(), node=NODE, share=share
    )
    yield runtime
    _clean(runtime)


@pytest.fixture
def docker_runtime(engine: docker.DockerClient, share: ShareId) -> Iterator[DockerRuntime]:
    runtime = DockerRuntime(DockerConfig(stop_grace=GRACE), boot=LinuxHost().boot(), node=NODE, share=share)
    yield runtime
    _clean(runtime)
    runtime.close()


@pytest.fixture(params=["fake", "process", "docker"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if request.param == "fake":
        return FakeRuntime(images=[IMAGE])
    found: Runtime = request.getfixturevalue(f"{request.param}_runtime")
    return found


def _clean(runtime: Runtime) -> None:
    for container in runtime.list():
        runtime.stop(container)
        runtime.remove(container)
