"""What the tests of measurements share: a claim's key, and a control group as each version of the kernel shows it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.core.containers import ClaimKey, Container, ContainerState
from reconciler.core.names import ProjectName, RecordNumber, RunNumber, ShareId, StageName, Token

KEY = ClaimKey(
    share=ShareId("5e"),
    project=ProjectName("ulm"),
    run=RunNumber(4),
    stage=StageName("detect"),
    number=RecordNumber(1),
    token=Token("c0ffee0123456789"),
)
STARTED = datetime(2026, 11, 1, 12, tzinfo=UTC)


def container(key: ClaimKey = KEY, *, pid: int | None = 4711, gpus: tuple[str, ...] = ()) -> Container:
    return Container(
        key=key,
        handle="6796a7b8a211",
        state=ContainerState.RUNNING,
        boot="boot",
        pid=pid,
        gpus=gpus,
        started_at=STARTED,
    )


class SteppedClock:
    """Both clocks go as far as they are moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return STARTED + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def share(tmp_path: Path) -> SharedDirectory:
    SharedDirectory.create(tmp_path / "share")
    found = SharedDirectory(tmp_path / "share")
    found.layout.claim(KEY.project, KEY.run, KEY.stage, KEY.number).mkdir(parents=True)
    return found


@dataclass
class FakeKernel:
    """The files below ``root`` that the sampler reads."""

    root: Path

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def process(self, pid: int, *, session: int, anonymous: int = 0, ticks: int = 0, groups: str = "0::/\n") -> None:
        """``anonymous``: pages; ``ticks``: of processor time."""
        self.write(f"proc/{pid}/stat", f"{pid} (a ) b) S 1 {session} {session} 0 0 0 0 0 0 0 {ticks} 0 0 0 0 0 1 0 7\n")
        self.write(f"proc/{pid}/statm", f"1000 {anonymous + 50} 50 1 0 1 0\n")
        self.write(f"proc/{pid}/io", "rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n")
        self.write(f"proc/{pid}/cgroup", groups)


@pytest.fixture
def kernel(tmp_path: Path) -> FakeKernel:
    return FakeKernel(tmp_path / "machine")


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
