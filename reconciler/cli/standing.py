"""How projects are now, for what a change would mean to them: from a clone's branch ``observed``, or from a status."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from reconciler.codec.changes import Standing
from reconciler.codec.observed import unfold
from reconciler.core.names import ProjectName
from reconciler.core.status import ProjectStatus, Status
from reconciler.errors import WinslowError

if TYPE_CHECKING:
    from reconciler.adapters.git.commits import Commits

Known = Mapping[ProjectName, ProjectStatus]


def standing_of(status: Status) -> Standing:
    known = {project.project: project for project in status.projects}
    return lambda names: {name: known[name] for name in names if name in known}


def standing_in(commits: "Commits") -> Standing:
    """As this clone last saw the branch. A clone without it, or with a damaged one, says nothing."""

    def standing(names: Collection[ProjectName]) -> Known:
        try:
            return _read(commits, set(names))
        except WinslowError:
            return {}

    return standing


def _read(commits: "Commits", names: set[ProjectName]) -> Known:
    """Only the files of these projects: a large site's other ones would take seconds."""
    head = commits.find("refs/remotes/origin/observed") or commits.find("refs/heads/observed")
    if head is None or not names:
        return {}
    with commits.tree(head) as tree:
        files = {
            path: tree.read(blob).decode(errors="replace")
            for path, blob in tree.files().items()
            if path == "status.yaml" or (path.startswith("projects/") and path.split("/")[1] in names)
        }
    return {project.project: project for project in unfold(files).projects}
