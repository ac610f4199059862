"""Real directories; where a test must fill or seal a file system, a small tmpfs of its own (needs root).

What asks only the share's own code runs over the simulated NFS client as well (``place``).
"""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.files import MOUNTED
from tests.share.place import Place
from tests.simulation.plain_scheduler import PlainScheduler
from tests.simulation.share import SimServer


@pytest.fixture(params=["disk", "simulated"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "disk":
        return Place(tmp_path / "share", lambda _: MOUNTED)
    server = SimServer(PlainScheduler())
    return Place(server.root, server.mount)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    SharedDirectory.create(tmp_path / "share")
    return tmp_path / "share"


@pytest.fixture
def share(root: Path) -> SharedDirectory:
    return SharedDirectory(root, writer="a")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a tmpfs (or remount it with other options); everything is unmounted at the end."""
    mounted: list[Path] = []

    def mounting(name: str, options: str) -> Path:
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        ended = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "winslow-test", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            pytest.skip(f"no mount without privileges: {ended.stderr.strip()}")
        if "remount" not in options:
            mounted.append(path)
        return path

    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    yield mounting
    for path in mounted:
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", str(path)], check=True, capture_output=True)
