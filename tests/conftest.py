"""Real parts that several areas share."""

from collections.abc import Iterator

import docker
import pytest
from hypothesis import HealthCheck, settings

from tests.engine import engine_or_skip

# Properties are about values, never about how fast this machine happens to be.
settings.register_profile("winslow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("winslow")


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A docker engine with the test image, or a skip that says how to get one."""
    yield from engine_or_skip()
