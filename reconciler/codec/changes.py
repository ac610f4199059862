"""What a change of the files means, said before it is merged: deletions, changed stems, requests that come too late.

All of it may be meant, so these are warnings. Nothing here is about a file being wrong.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import product

from reconciler.codec.files import SITE_PATH, Place
from reconciler.codec.parsed import parse
from reconciler.codec.quantities import duration_text
from reconciler.codec.tree import StateTree
from reconciler.codec.validate import Kind
from reconciler.codec.yaml import Document, Path
from reconciler.core.desired import Desired, Next, Pipeline, Project
from reconciler.core.lifecycle import are_many, obstacle
from reconciler.core.names import PipelineName, ProjectName, RunNumber, StageName
from reconciler.core.problems import Problem, Severity
from reconciler.core.requests import line_of
from reconciler.core.status import ProjectStatus

SIMILAR = 0.5
"""So much of two files' lines is the same in a file that git, too, would call renamed."""

HITS = "it will be aborted as soon as it begins; remove or correct the line"

MOST_PAIRS = 400
"""Deleted times added files that are compared line by line; beyond, only equal ones are matched."""

MOST_NAMES = 10

MOST_LINES = 200
"""Of each file that are compared."""


Standing = Callable[[Collection[ProjectName]], Mapping[ProjectName, ProjectStatus]]
"""How these projects are now, as far as anybody could say."""


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a change."""

    tree: StateTree
    desired: Desired

    def lines(self, project: Project) -> list[bytes]:
        return self.tree.read(project.blob).splitlines()[:MOST_LINES]

    def document(self, place: Place) -> Document | None:
        blob = self.tree.files().get(place.path)
        return parse(place.kind, self.tree.read(blob), place.path).document if blob else None


def changes(before: Side, after: Side, standing: Standing) -> Iterator[Problem]:
    """Of projects that ``standing`` does not know, nothing is said about their runs."""
    gone = _missing(before, after)
    renamed = _renamed(before, after, gone, _missing(after, before))
    yield from (_renaming(project, renamed[project.id]) for project in gone if project.id in renamed)
    if are_many(len(gone), len(before.desired.projects)):
        yield _many_deletions(before, gone)
    else:
        yield from (_deletion(project, after) for project in gone if project.id not in renamed)
    known = standing(_touched(before.desired, after.desired))
    for name, status in sorted(known.items()):
        yield from _requests(before.desired.projects.get(name), after.desired.projects[name], status, after)
    yield from _lost_stages(before.desired, after.desired, known)


def _touched(before: Desired, after: Desired) -> list[ProjectName]:
    """Projects that may now do something else: their own words or their pipeline's changed."""
    return [
        name
        for name, project in after.projects.items()
        if project != before.projects.get(name)
        or after.pipelines.get(project.pipeline) != before.pipelines.get(project.pipeline)
    ]


# --- projects that are no longer there -----------------------------------------------------------


def _missing(here: Side, there: Side) -> list[Project]:
    """Projects of ``here`` that ``there`` has not; of a file that may only be misplaced, its own problem tells."""
    return [
        project
        for name, project in sorted(here.desired.projects.items())
        if name not in there.desired.projects and obstacle(there.desired, name) is None
    ]


def _renamed(before: Side, after: Side, gone: list[Project], added: list[Project]) -> Mapping[ProjectName, Project]:
    """Which of the new files was most likely made from which deleted one."""
    by_content = {project.blob: project for project in added}
    found = {old.id: by_content.pop(old.blob) for old in gone if old.blob in by_content}
    left = [old for old in gone if old.id not in found]
    taken = {new.id for new in found.values()}
    pairs = list(product(left, (new for new in added if new.id not in taken)))
    scored = [(_likeness(before, old, after, new), old, new) for old, new in pairs if len(pairs) <= MOST_PAIRS]
    for score, old, new in sorted(scored, key=lambda pair: -pair[0]):
        if score >= SIMILAR and old.id not in found and new.id not in taken:
            found[old.id] = new
            taken.add(new.id)
    return found


def _likeness(before: Side, old: Project, after: Side, new: Project) -> float:
    return SequenceMatcher(None, before.lines(old), after.lines(new), autojunk=False).ratio()


def _renaming(old: Project, new: Project) -> Problem:
    return _warning(
        new.path,
        f"was {old.path} before (the file's stem is the project's identity): this deletes '{old.id}' and begins "
        f"'{new.id}'; to move keep the stem, to rename for people write name:",
    )


def _deletion(project: Project, after: Side) -> Problem:
    kept = duration_text(after.desired.site.retention)
    return _warning(
        project.path,
        f"this deletes project '{project.id}': its runs are stopped, its files stay for {kept} (retention); "
        "until then putting the file back restores it",
    )


def _many_deletions(before: Side, gone: list[Project]) -> Problem:
    return _warning(
        SITE_PATH,
        f"this deletes {len(gone)} of {len(before.desired.projects)} projects at once ({_some(gone)}): none of them is "
        "deleted until confirm_deletion here names the commit that did it; after the merge their status has the line",
    )


def _some(projects: Sequence[Project]) -> str:
    names = ", ".join(project.id for project in projects[:MOST_NAMES])
    return names + (f" and {len(projects) - MOST_NAMES} more" if len(projects) > MOST_NAMES else "")


# --- what is asked of runs -----------------------------------------------------------------------


def _requests(was: Project | None, now: Project, standing: ProjectStatus, after: Side) -> Iterator[Problem]:
    """A new ``next`` or ``abort`` that would do nothing, as things are now."""
    last, document = standing.last_run, None
    told: list[tuple[Path, str]] = []
    if now.next is not None and (was is None or was.next != now.next) and now.next.after != last:
        told.append((("next", "after"), _untimely(now.next, last)))
    if now.abort is not None and (was is None or was.abort != now.abort):
        run = next((run for run in standing.runs if run.run == now.abort), None)
        if run is None and (last is None or now.abort > last):
            told.append((("abort",), f"abort names run {now.abort}, and the last one is {last or 'none'}: {HITS}"))
        elif run is not None and run.ended_at is not None:
            told.append((("abort",), f"abort: run {now.abort} ({run.stage}) is over ({run.phase}); this does nothing"))
    if told:
        document = after.document(Place(Kind.PROJECT, now.path, now.id))
    for path, message in told:
        at = document.node(path) if document else None
        yield _warning(now.path, message, at.line if at else 1, at.column if at else 1)


def _untimely(request: Next, last: RunNumber | None) -> str:
    asked, line = request.after, line_of(replace(request, after=last))
    if asked is not None and (last is None or asked > last):
        return (
            f"next waits for run {asked}, and the last run is {last or 'none'}; "
            f"to start '{request.stage}' now write: {line}"
        )
    given = f"after: {asked}" if asked is not None else "no after"
    return f"next is stale: it says {given}, and the last run is {last}; to start '{request.stage}' now write: {line}"


def _lost_stages(before: Desired, after: Desired, standing: Mapping[ProjectName, ProjectStatus]) -> Iterator[Problem]:
    """A stage leaves the pipeline while projects are at it: they wait for somebody to say where to go on."""
    for name, pipeline in sorted(after.pipelines.items()):
        for stage in _removed(before.pipelines.get(name), pipeline):
            at = [one for _, one in sorted(after.projects.items()) if _is_at(one, name, standing.get(one.id), stage)]
            if at:
                yield _warning(
                    pipeline.path,
                    f"this removes stage '{stage}', which is the last run of {_some(at)}: after it these wait "
                    "for somebody to say where to go on (next)",
                )


def _removed(was: Pipeline | None, now: Pipeline) -> list[StageName]:
    return [stage.name for stage in was.stages if now.stage(stage.name) is None] if was else []


def _is_at(project: Project, pipeline: PipelineName, standing: ProjectStatus | None, stage: StageName) -> bool:
    if standing is None or project.pipeline != pipeline:
        return False
    return any(run.run == standing.last_run and run.stage == stage for run in standing.runs)


def _warning(file: str, message: str, line: int = 1, column: int = 1) -> Problem:
    return Problem(file=file, line=line, column=column, message=message, severity=Severity.WARNING)
