"""Real parts that several areas share."""

from collections.abc import Iterator

import docker
import pytest
from hypothesis import HealthCheck, settings

from tests.engine import engine_or_skip

# Properties are about values, never about how fast this machine happens to be.
settings.register_profile("winslow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("winslow")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation", "deterministic simulation (tests/simulation)")
    group.addoption("--seeds", type=int, default=2000, help="how many histories to simulate (default: 2000)")
    group.addoption("--seed", type=int, default=None, help="simulate this one history alone")


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A docker engine with the test image, or a skip that says how to get one."""
    yield from engine_or_skip()
