from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from reconciler.adapters.docker.engine import Engine
from reconciler.adapters.docker.images import DockerImages
from reconciler.config import DockerConfig
from tests.bad_input.conftest import Site, make_site
from tests.images.registry import Bench, Registry, running


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Shared: each test uses names of its own. Who stops one makes its own."""
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def own_registry(tmp_path: Path) -> Iterator[Registry]:
    """To be stopped by the test."""
    (tmp_path / "registry").mkdir()
    with running(tmp_path / "registry") as found:
        yield found


@pytest.fixture(scope="session")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running(tmp_path_factory.mktemp("private"), is_private=True) as found:
        yield found


@pytest.fixture
def bench(engine: docker.DockerClient) -> Iterator[Bench]:
    made = Bench(engine)
    yield made
    made.clean()


MakeImages = Callable[[DockerConfig], DockerImages]


@pytest.fixture
def make_images(engine: docker.DockerClient) -> Iterator[MakeImages]:
    del engine
    opened: list[Engine] = []

    def make(config: DockerConfig) -> DockerImages:
        opened.append(Engine(config.host))
        return DockerImages(opened[-1], config)

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def images(make_images: MakeImages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DockerImages:
    """Of a user who is logged in nowhere."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return make_images(DockerConfig())


@pytest.fixture
def site(tmp_path: Path, engine: docker.DockerClient) -> Iterator[Site]:
    """No node runs yet. At the end no log may hold a traceback."""
    del engine
    root = tmp_path / "site"
    root.mkdir()
    made = make_site(root)
    yield made
    made.end()
