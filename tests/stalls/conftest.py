"""A share that hangs on demand, as a hard NFS mount does: calls neither return nor fail."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.share import SharedDirectory
from tests.fakes.lab import Lab


class Hanging:
    """Port ``Share``: the real one, except while it hangs. Counts who waits."""

    def __init__(self, inner: object, gate: threading.Event) -> None:
        self._inner = inner
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._slow(name, found) if callable(found) else found

    def _slow(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            self._gate.wait()
            answer = call(*arguments, **named)
            self._gate.wait()  # done on the server, the answer is not here
            return Hanging(answer, self._gate) if name in ("heartbeat", "try_lock") and answer else answer

        return ask


class HangingLab(Lab):
    """Agents whose share hangs between ``cut`` and ``heal``."""

    def __init__(self, root: Path, local: Path) -> None:
        super().__init__(root, local)
        self.gate = threading.Event()
        self.gate.set()

    def share(self, writer: str) -> Any:
        return Hanging(SharedDirectory(self.root, writer=writer), self.gate)

    def cut(self) -> None:
        self.gate.clear()

    def heal(self) -> None:
        self.gate.set()

    @staticmethod
    def until_true(holds: Callable[[], object]) -> None:
        """Like ``until``, but nobody turns: turning would hang."""
        end = time.monotonic() + 30.0
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HangingLab]:
    SharedDirectory.create(tmp_path / "share")
    found = HangingLab(tmp_path / "share", tmp_path)
    yield found
    found.heal()
    found.close()
