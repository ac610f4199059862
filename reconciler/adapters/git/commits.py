"""Commits of a repository that a person, a CI job or a hook stands in: which are meant, and what is in them.

Nothing is fetched and no ref is written. Hooks see objects that are not in the repository yet, or an index of
their own; git tells them where by its environment, which is taken over here and nowhere else.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.git.command import GitCommand
from reconciler.adapters.git.remote import Remote
from reconciler.adapters.git.tree import GitTree
from reconciler.core.names import Commit
from reconciler.errors import BadInput

TIMEOUT = 120.0
QUARANTINE = ("GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
FETCH = "fetch it first: git fetch origin; in CI, fetch the whole history (GIT_DEPTH: 0, fetch-depth: 0)"
NOTHING = re.compile(r"0{40}|0{64}")
_NAMELESS = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "Winslow", "EMAIL": "winslow@localhost", "DATE": "2000-01-01T00:00:00Z"}.items()
}
"""Of the commit that stands for what is staged: always the same one, which no ref names."""


@dataclass(frozen=True, slots=True)
class Span:
    """What changed from ``before`` to ``after``. Without ``before``: everything in ``after``."""

    before: Commit | None
    after: Commit


class Commits:
    """Reads one repository, given its git directory. BadInput for commits that it does not have."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        """``environment`` is the calling hook's own."""
        given = environment or {}
        inherited = {name: given[name] for name in QUARANTINE if name in given}
        if "GIT_INDEX_FILE" in given:
            inherited["GIT_INDEX_FILE"] = str(Path(given["GIT_INDEX_FILE"]).absolute())
        self.directory = Path(os.path.normpath(directory.absolute()))
        self._git = GitCommand(
            self.directory, Remote.parse(str(self.directory)), TIMEOUT, inherited=inherited | _NAMELESS
        )

    def tree(self, commit: Commit) -> GitTree:
        """The files of a commit; close it after reading."""
        return GitTree(self._git, commit)

    def observed_tree(self, commit: Commit) -> GitTree:
        """The same, of a commit of the branch ``observed``."""
        return GitTree(self._git, commit, is_ours=True)

    def commit(self, name: str) -> Commit:
        found = self.find(name)
        if found is None:
            raise BadInput(f"there is no commit '{name}' in {self.directory}; {FETCH}")
        return found

    def span(self, text: str) -> Span:
        """``A..B`` (or ``A...B``): what B changed since it left A. One commit: what it changed itself."""
        begin, dots, end = text.partition("..")
        if not dots:
            after = self.commit(text)
            return Span(self.find(f"{after}^"), after)
        after = self.commit(end.removeprefix(".") or "HEAD")
        if NOTHING.fullmatch(begin):
            return Span(None, after)
        return Span(self._fork(self.commit(begin or "HEAD"), after, text), after)

    def descends(self, commit: Commit, ancestor: Commit) -> bool:
        return self._git.run("merge-base", "--is-ancestor", ancestor, commit).code == 0

    def staged(self) -> Span:
        """From HEAD to what the next commit would hold."""
        head = self.find("HEAD")
        written = self._git.run("write-tree")
        if written.code != 0:
            raise BadInput(f"what is staged can't be read: {written.err.strip()}; resolve conflicts, then git add")
        parents = () if head is None else ("-p", head)
        commit = self._git.local("commit-tree", written.text, *parents, "-m", "What is staged")
        return Span(head, Commit(commit.decode().strip()))

    def find(self, name: str) -> Commit | None:
        """None if this repository has no such commit."""
        if name.startswith("-"):
            return None
        found = self._git.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return Commit(found.text) if found.code == 0 else None

    def _fork(self, begin: Commit, after: Commit, text: str) -> Commit:
        found = self._git.run("merge-base", begin, after)
        if found.code != 0:
            raise BadInput(f"the two ends of {text} share no history in {self.directory}; {FETCH}")
        return Commit(found.text.splitlines()[0])
