"""The branch ``observed`` out of any clone that a person has, bare or with a work tree, fetched or their own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from reconciler.adapters.git.command import Broken, GitCommand
from reconciler.adapters.git.remote import Remote
from reconciler.adapters.git.tree import GitTree
from reconciler.core.names import Commit
from reconciler.errors import BadInput

TIMEOUT = 30.0


def read_observed(clone: Path, branch: str = "observed") -> Mapping[str, str]:
    """Path -> text of all files of the branch as this clone last saw it. Only reads; never fetches."""
    git = _git(clone)
    head, _ = _newest(git, clone, branch)
    try:
        with GitTree(git, head, is_ours=True) as tree:
            return {path: tree.read(blob).decode(errors="replace") for path, blob in tree.files().items()}
    except Broken as error:
        raise BadInput(f"{clone} is damaged: {error}; clone the state repository again") from error


def published_at(clone: Path, branch: str = "observed") -> datetime:
    """When the node wrote what ``read_observed`` gives."""
    return _newest(_git(clone), clone, branch)[1]


def _git(clone: Path) -> GitCommand:
    directory = clone / ".git" if (clone / ".git").is_dir() else clone
    return GitCommand(directory.absolute(), Remote.parse(str(directory.absolute())), TIMEOUT)


def _newest(git: GitCommand, clone: Path, branch: str) -> tuple[Commit, datetime]:
    found = git.run(
        *("for-each-ref", "--sort=-committerdate", "--count=1", "--format=%(objectname) %(committerdate:unix)"),
        *(f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"),
    )
    if found.code != 0:
        raise BadInput(f"{clone} is no clone of a state repository; name one, or a node's configuration by --config")
    if not found.text:
        raise BadInput(f"{clone} has no branch '{branch}' yet: run git fetch there, or wait for a node to publish")
    commit, seconds = found.text.split()
    return Commit(commit), datetime.fromtimestamp(int(seconds), UTC)
