"""The simulated GPUs of these tests."""

from pathlib import Path

import pytest

from tests.nvml.library import Scenario, build_or_skip


@pytest.fixture(scope="session")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the library."""
    return build_or_skip(tmp_path_factory.mktemp("library"))


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    return Scenario(tmp_path / "gpus")
