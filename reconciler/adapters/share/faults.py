"""Translating what the file system says into words for people, in one place."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.errors import ShareUnavailable

HINTS = {
    errno.ENOSPC: "the share is full: free some space (old runs); nothing is lost, work goes on then",
    errno.EDQUOT: "the share's quota is used up: free some space; nothing is lost, work goes on then",
    errno.EROFS: "the share is mounted read-only: remount it read-write",
    errno.EACCES: "this user may not write there: check the owner of the share's directories",
    errno.EPERM: "this user may not do that on the share: check the export's options (root_squash?)",
    errno.ENOENT: "it is missing: is the share mounted? If it is, `winslow init --share` makes its directories again",
    errno.ENOTCONN: "the share's server is not connected",
    errno.ESTALE: "the share's server forgot this directory: remount it",
    errno.EIO: "the share's server reported an input/output error",
}


@contextmanager
def translated(root: Path) -> Iterator[None]:
    """Turn an OSError inside into ShareUnavailable, with the place and what to do."""
    try:
        yield
    except OSError as error:
        hint = HINTS.get(error.errno or 0, error.strerror or str(error))
        place = error.filename2 or error.filename or root
        raise ShareUnavailable(f"{place}: {hint}") from error
