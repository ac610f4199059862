"""A lock that the server has taken away is noticed by the next write through it."""

import errno
import os
from functools import partialmethod

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.lock import ShareLock


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


def test_a_lock_is_given_up_even_if_its_server_forgot_the_file(share: SharedDirectory) -> None:
    """A publisher that can't publish gives its turn to another node; an error here would keep it for ever."""

    class Forgotten:
        def write(self, content: bytes) -> None:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

        close = partialmethod(write, b"")

    ShareLock(Forgotten()).release()
