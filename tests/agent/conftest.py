"""Agents put together with a real share and fakes for everything that is slow or far away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from tests.fakes.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    SharedDirectory.create(tmp_path / "share")
    found = Lab(tmp_path / "share", tmp_path)
    yield found
    found.close()
