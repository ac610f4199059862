"""What a start finds that comes right after a kill."""

import fcntl
import threading
from pathlib import Path

import pytest

from reconciler.compose import alone
from reconciler.errors import BadInput


def test_a_start_waits_for_the_lock_of_a_reconciler_that_is_just_dying(tmp_path: Path) -> None:
    """A child between its fork and its exec holds a copy for a moment; nobody must have to start the node twice."""
    with (tmp_path / "lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        letting_go = threading.Timer(0.3, fcntl.flock, (held, fcntl.LOCK_UN))
        letting_go.start()
        with alone(tmp_path) as identity:
            assert identity
        letting_go.join()


def test_a_start_beside_a_living_reconciler_is_still_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(BadInput, match="runs already"), alone(tmp_path):
        pass
