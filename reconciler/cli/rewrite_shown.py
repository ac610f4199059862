"""What a person sees before accepting a rewritten history: both sides, and what lies between them."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from reconciler.adapters.git import StateRepository
from reconciler.adapters.git.comparison import bring, compare, describe, paths
from reconciler.cli.output import text
from reconciler.core.ledger import Ledger
from reconciler.core.names import Commit, ProjectName
from reconciler.core.report import stem
from reconciler.readers.rewritten import Rewrite

SHORT, SHOWN = 12, 10


def picture(repository: StateRepository, branch: str, found: Rewrite) -> Iterator[Text]:
    """Line by line. Compared is what most nodes work from."""
    yield Text(f"the history of {branch} was rewritten", style="bold")
    yield _commit(repository, "new head", found.head, "")
    old, *others = sorted(found.superseded, key=lambda one: (one not in found.held, -len(found.held.get(one, ()))))
    for commit in (old, *others[: SHOWN - 1]):
        bring(repository, commit)
        yield _commit(repository, "held    " if commit in found.held else "left out", commit, _whose(found, commit))
    yield from _differences(repository, old, found.head)
    gone = _gone(repository, old, found)
    if gone:
        yield text(f"projects that would count as deleted: {_some(gone)}", "bold red")


def _whose(found: Rewrite, commit: Commit) -> str:
    """Which nodes work from the commit, and which projects' newest record names it."""
    nodes, projects = found.held.get(commit, ()), found.missing.get(commit, ())
    told = [f"nodes: {_some(nodes)}" if nodes else "", f"projects: {_some(projects)}" if projects else ""]
    return "; ".join(part for part in told if part)


def _commit(repository: StateRepository, role: str, commit: Commit, remark: str) -> Text:
    known = describe(repository, commit)
    words = "the remote has lost it"
    if known is not None:
        words = f"{known.subject} ({known.author}, {known.at.astimezone():%d %b %Y %H:%M})"
    return text(f"  {role}  {commit[:SHORT]}  {words}{f'; {remark}' if remark else ''}")


def _differences(repository: StateRepository, old: Commit, new: Commit) -> Iterator[Text]:
    if describe(repository, old) is None:
        yield Text(f"  what changes from {old[:SHORT]} can't be shown")
        return
    files = compare(repository, old, new)
    counts = f"{len(files.added)} added, {len(files.removed)} removed, {len(files.changed)} changed"
    yield Text(f"files from {old[:SHORT]} to {new[:SHORT]}: {counts}")
    kinds = {"+": files.added, "-": files.removed, "~": files.changed}
    marked = [(mark, path) for mark, those in kinds.items() for path in those]
    yield from (text(f"  {mark} {path}") for mark, path in marked[:SHOWN])
    if len(marked) > SHOWN:
        yield Text(f"  and {len(marked) - SHOWN} more")


def _gone(repository: StateRepository, old: Commit, found: Rewrite) -> list[ProjectName]:
    """Projects that were there, in the old history or with records, and have no file in the new one."""
    before = _projects(paths(repository, old)) if describe(repository, old) is not None else frozenset()
    return sorted((before | _recorded(found.ledger)) - _projects(paths(repository, found.head)))


def _projects(files: frozenset[str]) -> frozenset[ProjectName]:
    named = (stem(path) for path in files if path.startswith("projects/") and path.endswith(".yaml"))
    return frozenset(ProjectName(name) for name in named if not name.startswith("_"))


def _recorded(ledger: Ledger) -> frozenset[ProjectName]:
    """Those that still count: of a purged one no record is left."""
    standing = (name for name, history in ledger.projects.items() if history.records and not history.is_deleted)
    return frozenset(standing)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
