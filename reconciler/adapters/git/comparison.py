"""Two commits of main side by side, for a person who is asked whether the one may replace the other."""

from dataclasses import dataclass
from datetime import datetime

from reconciler.adapters.git.repository import StateRepository
from reconciler.core.names import Commit
from reconciler.errors import SourceUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A commit in people's words."""

    commit: Commit
    subject: str
    author: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Paths of files, sorted."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def bring(repository: StateRepository, commit: Commit) -> bool:
    """Have the commit in our clone, also if no branch leads to it any more; False if the remote has lost it."""
    if describe(repository, commit) is not None:
        return True
    with repository.alone():
        try:
            found = repository.git.run(
                *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--"),
                *(repository.url, commit),
            )
        except SourceUnavailable:
            return False
    return found.code == 0


def describe(repository: StateRepository, commit: Commit) -> Description | None:
    """None: it is not in our clone."""
    found = repository.git.run("log", "-1", "--format=%s%x00%an%x00%cI", f"{commit}^{{commit}}", "--")
    if found.code != 0:
        return None
    subject, author, at = found.text.split("\0")
    return Description(commit=commit, subject=subject, author=author, at=datetime.fromisoformat(at))


def compare(repository: StateRepository, old: Commit, new: Commit) -> Comparison:
    """What changes for whoever goes from ``old`` to ``new``; both are in our clone."""
    with repository.tree(old) as before, repository.tree(new) as after:
        was, now = before.files(), after.files()
    return Comparison(
        added=tuple(sorted(now.keys() - was.keys())),
        removed=tuple(sorted(was.keys() - now.keys())),
        changed=tuple(sorted(path for path in now.keys() & was.keys() if now[path] != was[path])),
    )


def paths(repository: StateRepository, commit: Commit) -> frozenset[str]:
    with repository.tree(commit) as tree:
        return frozenset(tree.files())
