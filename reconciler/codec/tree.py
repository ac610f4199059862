"""What reading desired state asks of a state repository: files at one commit and what they were before."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from reconciler.core.names import Blob, Commit


def printable(path: str) -> str:
    """Control characters and broken ones become escapes: a file's name must not write on people's terminals.

    No file that we read has such a name, so nothing is looked up by what comes of it.
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in path)


class StateTree(Protocol):
    """One commit of the state repository. Paths are relative, with forward slashes."""

    @property
    def commit(self) -> Commit: ...

    def files(self) -> Mapping[str, Blob]:
        """Path -> blob of all regular files; symlinks and submodules are not among them."""
        ...

    def others(self) -> Mapping[str, str]:
        """Path -> what it is instead, of all that is no regular file: ``a symbolic link``, ``a submodule``."""
        ...

    def read(self, blob: Blob) -> bytes: ...

    def earlier(self, path: str) -> Iterator[tuple[Commit, Blob]]:
        """Versions of ``path`` at first-parent ancestors, newest first, each distinct blob once."""
        ...

    def removals(self, folder: str) -> Iterator[tuple[Commit, str]]:
        """Paths below ``folder`` that first-parent commits took away, this one's included, newest first."""
        ...

    def ancestors(self) -> Iterator[tuple[Commit, Mapping[str, Blob]]]:
        """First-parent ancestors, newest first, with their ``files()``. Lazy: few are usually asked for."""
        ...
