"""A state repository in memory, with a history: each dict is one commit's files."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

import pytest

from reconciler.core.names import Blob, Commit

Files = Mapping[str, str | bytes]


class MemoryTree:
    """A StateTree over a list of commits, oldest first; counts how often each blob is read."""

    def __init__(self, *commits: Files) -> None:
        self.reads: list[Blob] = []
        self._content: dict[Blob, bytes] = {}
        self._commits = [self._stored(files) for files in commits]

    def _stored(self, files: Files) -> dict[str, Blob]:
        listing = {}
        for path, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            blob = Blob(sha256(data).hexdigest())
            self._content[blob] = data
            listing[path] = blob
        return listing

    @property
    def commit(self) -> Commit:
        return Commit(f"c{len(self._commits)}")

    def files(self) -> Mapping[str, Blob]:
        return self._commits[-1]

    def others(self) -> Mapping[str, str]:
        return {}

    def read(self, blob: Blob) -> bytes:
        self.reads.append(blob)
        return self._content[blob]

    def earlier(self, path: str) -> Iterator[tuple[Commit, Blob]]:
        seen = set()
        for commit, files in self.ancestors():
            if path in files and files[path] not in seen:
                seen.add(files[path])
                yield commit, files[path]

    def removals(self, folder: str) -> Iterator[tuple[Commit, str]]:
        for number in range(len(self._commits) - 1, 0, -1):
            after, before = self._commits[number], self._commits[number - 1]
            gone = (path for path in before if path not in after and path.startswith(f"{folder}/"))
            yield from ((Commit(f"c{number + 1}"), path) for path in gone)

    def ancestors(self) -> Iterator[tuple[Commit, Mapping[str, Blob]]]:
        for number in range(len(self._commits) - 1, 0, -1):
            yield Commit(f"c{number}"), self._commits[number - 1]


@pytest.fixture
def history() -> Callable[..., MemoryTree]:
    return MemoryTree
