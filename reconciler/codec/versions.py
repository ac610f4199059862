"""Which version of each file is in use: the newest, or the last good one where somebody broke it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from reconciler.codec.files import FOLDERS, Place, placed
from reconciler.codec.parsed import Cache
from reconciler.codec.tree import StateTree
from reconciler.codec.validate import Kind
from reconciler.codec.yaml import Document
from reconciler.core.names import Blob, Commit
from reconciler.core.problems import Problem, Severity

LOOK_BACK = 500
"""So many ancestors are searched for a project that was doubled, or moved and broken at once."""


@dataclass(frozen=True, slots=True)
class Version:
    """A good file: where it lies (or lay) and what it says."""

    place: Place
    blob: Blob
    document: Document

    @property
    def data(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = self.document.data or {}
        return data


class Versions:
    """Looks for good versions and notes what is wrong (``problems``) and what is outdated (``stale``)."""

    def __init__(self, tree: StateTree, cache: Cache) -> None:
        self._tree = tree
        self._cache = cache
        self._files = tree.files()
        self._others = tree.others()
        self.problems: list[Problem] = []
        self.stale: dict[str, Commit] = {}

    def places(self) -> list[Place]:
        """All files of ours in the order of their paths; those that look like ours and are not become problems."""
        found = [placed(path) for path in sorted({**self._files, **self._others})]
        found += [_unread(path, kind) for path, kind in self._others.items() if path.split("/")[0] in FOLDERS]
        self.problems += [place for place in found if isinstance(place, Problem)]
        return [place for place in found if isinstance(place, Place)]

    def exists(self, path: str) -> bool:
        return path in self._files or path in self._others

    def current(self, place: Place) -> Version | None:
        """The file as it stands, or its last good version; None if there never was one."""
        if (kind := self._others.get(place.path)) is not None:
            message = f"this is {kind}, which is never followed; commit the file itself in its place"
            self.problems.append(Problem(file=place.path, line=1, column=1, message=message))
            return self.last_good(place)
        blob = self._files[place.path]
        parsed = self._cache.parsed(place, blob, self._tree.read)
        if parsed.document is not None and not parsed.problems:
            return Version(place, blob, parsed.document)
        self.problems += parsed.problems_at(place.path)
        return self.last_good(place)

    def last_good(self, place: Place) -> Version | None:
        """Of this path before now; also for a deleted file."""
        return self._first_good((commit, place, blob) for commit, blob in self._tree.earlier(place.path))

    def last_alone(self, stem: str) -> Version | None:
        """The project named ``stem``, wherever it lay, when a single good file had that name."""

        def candidates() -> Iterable[tuple[Commit, Place, Blob]]:
            for commit, files in islice(self._tree.ancestors(), LOOK_BACK):
                paths = [path for path in files if path.endswith(f"/{stem}.yaml")]
                match [
                    place for place in map(placed, paths) if isinstance(place, Place) and place.kind is Kind.PROJECT
                ]:
                    case [place]:
                        yield commit, place, files[place.path]

        return self._first_good(candidates())

    def _first_good(self, candidates: Iterable[tuple[Commit, Place, Blob]]) -> Version | None:
        for commit, place, blob in candidates:
            parsed = self._cache.parsed(place, blob, self._tree.read)
            if parsed.document is not None and not parsed.problems:
                self.stale[place.path] = commit
                return Version(place, blob, parsed.document)
        return None


def _unread(path: str, kind: str) -> Problem | None:
    """A folder of ours that is none. A link in a file's place is the file's own problem."""
    if placed(path) is not None:
        return None
    message = f"nobody reads what is in here: this is {kind}; commit the files themselves in its place"
    return Problem(file=path, line=1, column=1, message=message, severity=Severity.WARNING)
