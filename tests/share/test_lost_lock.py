"""A lock that the server has taken away is noticed by the next write through it."""

import errno
import os

import pytest

from reconciler.adapters.share import SharedDirectory


@pytest.mark.parametrize(("fault", "held"), [(0, True), (errno.EIO, False), (errno.ENOSPC, True)])
def test_only_a_refused_write_means_a_lost_lock(
    share: SharedDirectory, monkeypatch: pytest.MonkeyPatch, fault: int, held: bool
) -> None:
    """Linux answers EIO after a lost lease, as measured; a full share is another matter."""
    lock = share.try_lock("publisher")
    assert lock is not None

    def sync(descriptor: int) -> None:
        if fault:
            raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as server:
        server.setattr(os, "fsync", sync)
        assert lock.is_held() is held
    lock.release()
