"""The overview's order: first what needs a person, then what runs, then what waits by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.ledger import RunPhase
from reconciler.core.status import Condition, ProjectPhase, ProjectStatus, RunStatus, Status

GOING = (RunPhase.STARTING, RunPhase.RUNNING)
NEEDS_PERSON = (ProjectPhase.AWAITING_INPUT, ProjectPhase.FAILED, ProjectPhase.INVALID)
INFORMATION = ("RequestHandled",)
ABOUT_THE_SOURCE = (
    "SourceRewritten",
    "SourceBehind",
    "SourceUnreachable",
    "SourceEmpty",
    "BranchMissing",
    "LedgerBehind",
)
WAITS = (ProjectPhase.QUEUED, ProjectPhase.PAUSED, ProjectPhase.DELETING)


def going_run(project: ProjectStatus) -> RunStatus | None:
    return next((run for run in reversed(project.runs) if run.phase in GOING), None)


def newest_run(project: ProjectStatus) -> RunStatus | None:
    return max(project.runs, key=lambda run: run.run, default=None)


def find_run(project: ProjectStatus, number: int) -> RunStatus | None:
    return next((run for run in project.runs if run.run == number), None)


def needs_person(project: ProjectStatus) -> bool:
    """Does only a person get it further? A finished project waits too, if what was asked of it will not happen."""
    return project.phase in NEEDS_PERSON or (
        project.phase is ProjectPhase.SUCCEEDED and project.waiting_for is not None
    )


def troubles(conditions: Sequence[Condition]) -> list[Condition]:
    """Conditions that somebody should read: everything but those known not to hold, and mere information."""
    return [condition for condition in conditions if condition.status != "False" and condition.type not in INFORMATION]


def site_troubles(status: Status) -> list[Condition]:
    """The site's troubles without those that a project's card says already."""
    asking = [project for project in status.projects if needs_person(project)]
    said = " ".join(one.message for project in asking for one in (project.waiting_for, *project.conditions) if one)
    return [condition for condition in troubles(status.conditions) if condition.message not in said]


def source_troubles(status: Status) -> list[Condition]:
    """Why an edit that was pushed may have no effect, for whoever looks at one project only: each kind once."""
    kinds: dict[str, Condition] = {}
    for condition in status.conditions:
        if condition.type in ABOUT_THE_SOURCE:
            kinds.setdefault(condition.type, condition)
    return list(kinds.values())


def works_on(project: ProjectStatus) -> bool:
    """Does it go on although its file, or its pipeline's, is broken: with the last good version?"""
    return not needs_person(project) and any(condition.type == "FileBroken" for condition in project.conditions)


def unsaid(project: ProjectStatus) -> list[Condition]:
    """The project's conditions without what ``waiting_for`` says already."""
    said = project.waiting_for.message if project.waiting_for else None
    return [condition for condition in project.conditions if condition.message != said]


def matches(project: ProjectStatus, query: str) -> bool:
    """Does every word of the query occur in what ``searchable`` says? The script does the same."""
    text = searchable(project)
    return all(word in text for word in query.lower().split())


def searchable(project: ProjectStatus) -> str:
    words = (project.project, project.name, project.pipeline, *project.tags, project.phase)
    return " ".join(words).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Every project stands in ``projects`` and, unless it is done, in exactly one of the other three."""

    needs_you: Sequence[ProjectStatus]
    running: Sequence[ProjectStatus]
    waiting: Sequence[ProjectStatus]
    projects: Sequence[ProjectStatus]
    failed: int
    deleting: int
    done: int
    live: int
    silent: int

    @classmethod
    def of(cls, status: Status) -> "Overview":
        projects = sorted(status.projects, key=lambda project: project.name.lower())

        def having(*phases: ProjectPhase) -> list[ProjectStatus]:
            return [project for phase in phases for project in projects if project.phase is phase]

        return cls(
            needs_you=[project for project in having(*NEEDS_PERSON, ProjectPhase.SUCCEEDED) if needs_person(project)],
            running=having(ProjectPhase.RUNNING),
            waiting=having(*WAITS),
            projects=projects,
            failed=len(having(ProjectPhase.FAILED)),
            deleting=len(having(ProjectPhase.DELETING)),
            done=sum(not needs_person(project) for project in having(ProjectPhase.SUCCEEDED)),
            live=sum(node.live is True for node in status.nodes),
            silent=sum(node.live is False for node in status.nodes),
        )
