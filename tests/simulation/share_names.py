"""What a client remembers of names: found or not, for up to a minute, until it opens or changes their directory."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.simulation.share_tree import Directory, File, Inode, check_directory, check_file

REMEMBERED = 60.0
STALENESS = 0.7
"""How likely an old answer is given where one may be."""


class View:
    """Of one directory. The client asked for its attributes last at ``at``, when it was at ``version``."""

    __slots__ = ("answers", "at", "version")

    def __init__(self, at: float, version: int) -> None:
        self.answers: dict[str, Inode | None] = {}
        self.at = at
        self.version = version


class Names:
    """Looking up costs most of a simulated call, hence plain dictionaries, and no randomness where nothing changed."""

    def __init__(self, top: Directory, root: Path, now: Callable[[], float], chance: random.Random) -> None:
        self._top = top
        self._depth = len(root.parts)
        self._now = now
        self._chance = chance
        self._views: dict[Directory, View] = {}

    def find(self, path: Path) -> Inode | None:
        """As the client takes it to be."""
        return self._walk(path.parts[self._depth :])

    def file(self, path: Path) -> File:
        return check_file(self.find(path))

    def above(self, path: Path) -> Directory:
        """The directory that the path's last name is in."""
        return check_directory(self._walk(path.parts[self._depth : -1]))

    def _walk(self, parts: tuple[str, ...]) -> Inode | None:
        here: Inode | None = self._top
        for name in parts:
            here = self._look_up(check_directory(here), name)
        return here

    def open(self, path: Path) -> Directory:
        """Opening a directory makes the client compare: what changed since is asked for again."""
        directory = check_directory(self.find(path))
        self.validate(directory)
        return directory

    def validate(self, directory: Directory) -> None:
        view = self._views.get(directory)
        if view is None:
            return
        view.at = self._now()
        if view.version != directory.version:
            view.version = directory.version
            view.answers = {name: directory.entries.get(name) for name in view.answers}

    def _look_up(self, directory: Directory, name: str) -> Inode | None:
        truth = directory.entries.get(name)
        view = self._views.get(directory)
        if view is None:
            view = self._views[directory] = View(self._now(), directory.version)
        answer = view.answers.setdefault(name, truth)
        if answer is not truth:
            if self._is_trusted(view, answer):
                return answer
            self.validate(directory)
        return truth

    def _is_trusted(self, view: View, answer: Inode | None) -> bool:
        """The handle of what is gone for good is refused, and the client looks again: unless it is open somewhere."""
        if self._now() - view.at >= REMEMBERED or (isinstance(answer, Directory) and not answer.lives):
            return False
        return self._chance.random() < STALENESS
