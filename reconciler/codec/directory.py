"""A plain directory as a state repository without history, for ``winslow validate PATH``."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from reconciler.codec.tree import printable
from reconciler.codec.yaml import MAX_BYTES
from reconciler.core.names import Blob, Commit
from reconciler.errors import BadInput


class DirectoryTree:
    """A StateTree. There are no blobs, so a file's path stands for its content: don't keep a cache over changes."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise BadInput(f"{root} is not a directory; name the state repository's")
        self._root = root

    @property
    def commit(self) -> Commit:
        return Commit("")

    def files(self) -> Mapping[str, Blob]:
        found: dict[str, Blob] = {}
        for folder, folders, names in os.walk(self._root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for path in (Path(folder, name) for name in names):
                if path.is_file() and not path.is_symlink():
                    relative = path.relative_to(self._root).as_posix()
                    found[printable(relative)] = Blob(relative)
        return found

    def others(self) -> Mapping[str, str]:
        return {printable(path.relative_to(self._root).as_posix()): "a symbolic link" for path in self._links()}

    def _links(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self._root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from (path for name in [*folders, *names] if (path := Path(folder, name)).is_symlink())

    def read(self, blob: Blob) -> bytes:
        try:
            with (self._root / blob).open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            raise BadInput(f"{blob}: can't be read: {error.strerror}") from error

    def earlier(self, path: str) -> Iterator[tuple[Commit, Blob]]:
        return iter(())

    def removals(self, folder: str) -> Iterator[tuple[Commit, str]]:
        return iter(())

    def ancestors(self) -> Iterator[tuple[Commit, Mapping[str, Blob]]]:
        return iter(())
