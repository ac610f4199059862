"""Real parts that several areas share."""

from collections.abc import Iterator

import docker
import pytest

from tests.engine import engine_or_skip


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A docker engine with the test image, or a skip that says how to get one."""
    yield from engine_or_skip()
