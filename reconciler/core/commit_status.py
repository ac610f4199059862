"""What the forge should show beside a commit: what became of what it asked for.

A person merged a commit and looks beside it. So a run is told at the commit that asked for it: for a run that a
``next`` started, the first DESIRED record with that request; for one that followed the pipeline's order, the DESIRED
record in force then, which is the last commit that touched the project's file. Not the commit in RUN: that is
the head of the branch when a node decided, and may be somebody else's commit about another project.
DESIRED names the head that a node saw when the file had changed; of several commits between two looks it is the last.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import quote

from reconciler.core.decide import StartStage, Wait, decide
from reconciler.core.desired import Desired, Forge, Next, Project
from reconciler.core.ledger import Ledger, ProjectHistory, Run, RunPhase
from reconciler.core.names import Commit, ProjectName, RunNumber, run_directory
from reconciler.core.records import Aborted, Claim, DesiredSeen, Done, Failed, Lost, RunCreated
from reconciler.core.requests import canonical, request_conditions

DESCRIPTION = 140
"""Characters; the least that any forge takes."""


class CommitState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStatus:
    """``path`` is a file of the branch ``observed`` that says more."""

    commit: Commit
    context: str
    state: CommitState
    description: str
    path: str

    @property
    def is_final(self) -> bool:
        return self.state in (CommitState.SUCCESS, CommitState.FAILED)

    def mark(self, forge: str) -> str:
        """A name for "this was posted to that forge"."""
        told = "\n".join((forge, self.commit, self.context, self.state, self.description))
        return hashlib.sha256(told.encode()).hexdigest()


def page_of(path: str, forge: Forge, branch: str) -> str:
    """Where the forge shows a file of the branch ``observed``."""
    middle = {"gitlab": "-/blob", "github": "blob"}.get(forge.kind, "src/branch")
    return f"{forge.url}/{middle}/{quote(branch)}/{quote(path)}"


def commit_statuses(desired: Desired, ledger: Ledger) -> tuple[CommitStatus, ...]:
    """All that should stand now: one a commit and project, the newest. Of what it says nothing ages."""
    return tuple(
        status
        for name, history in sorted(ledger.projects.items())
        if name not in ledger.unreadable
        for status in _of_project(desired, name, history)
    )


def _of_project(desired: Desired, name: ProjectName, history: ProjectHistory) -> Iterator[CommitStatus]:
    requests, askers = _who_asked(history)
    newest = {askers.get(run.number, run.created.commit): run for run in history.runs}
    found: dict[Commit, tuple[CommitState, str, str]] = {}
    for commit, run in newest.items():
        state, words = _became(run)
        path = f"projects/{name}/runs/{run_directory(run.number, run.stage)}.yaml"
        found[commit] = (state, f"run {run.number} {run.stage} {words}", path)
    project = desired.projects.get(name)
    for commit, state, words in _to_come(desired, project, history, requests) if project else ():
        found[commit] = (state, words, f"projects/{name}/status.yaml")
    for commit, (state, words, path) in found.items():
        yield CommitStatus(commit=commit, context=f"winslow/{name}", state=state, description=_short(words), path=path)


def _who_asked(history: ProjectHistory) -> tuple[dict[str, Commit], dict[RunNumber, Commit]]:
    """The commit that first wrote each request, and the one that asked for each run."""
    requests: dict[str, Commit] = {}
    askers: dict[RunNumber, Commit] = {}
    in_force: Commit | None = None
    for record in history.records:
        if isinstance(record, DesiredSeen):
            in_force = record.commit
            if record.request is not None:
                requests.setdefault(record.request, record.commit)
        elif isinstance(record, RunCreated):
            asked = in_force if record.request is None else requests.get(record.request)
            askers[record.run] = asked or record.commit
    return requests, askers


def _became(run: Run) -> tuple[CommitState, str]:
    claim = run.last_claim
    node = claim.node if claim else "no node"
    match run.last:
        case Claim() if run.phase is RunPhase.RUNNING and run.started_at is not None:
            return CommitState.RUNNING, f"on {node} since {run.started_at:%Y-%m-%d %H:%M} UTC"
        case Claim():
            return CommitState.PENDING, f"is starting on {node} (attempt {run.attempts})"
        case Aborted():
            return CommitState.FAILED, "was aborted"
        case Lost(message=message, reason=reason):
            return CommitState.FAILED, f"was lost: {message or reason}"
        case Failed(final=True, message=message):
            return CommitState.FAILED, f"failed on {node}: {message}"
        case Done():
            return CommitState.SUCCESS, f"succeeded on {node}"
        case None:
            return CommitState.PENDING, "is about to be claimed"
        case _:
            return CommitState.PENDING, f"is tried again after attempt {run.attempts}"


def _to_come(
    desired: Desired, project: Project, history: ProjectHistory, requests: Mapping[str, Commit]
) -> Iterator[tuple[Commit, CommitState, str]]:
    """What was asked and has no run (yet): a stage that waits for a node, a request that waits or is stale."""
    last = history.last_desired
    if last is None or last.blob != project.blob:
        return  # the ledger does not know yet what git says; it will in a moment
    asked = requests.get(canonical(project.next)) if project.next else None
    match decide(desired, replace(project, paused=False), history):
        case StartStage(stage=stage, request=None) if not project.paused:
            yield last.commit, CommitState.PENDING, f"{stage.name} waits to start"
        case StartStage(stage=stage, request=Next()) if asked:
            yield asked, CommitState.PENDING, f"{stage.name} waits to start"
        case Wait(reason="StageUnknown" | "BaseUnknown", message=message) if asked:
            yield asked, CommitState.FAILED, message
        case _:
            pass
    if asked is None:
        return
    for told in request_conditions(project, history):
        if told.type == "RequestPending":
            yield asked, CommitState.PENDING, told.message
        elif told.type == "RequestStale":
            yield asked, CommitState.FAILED, told.message


def _short(words: str) -> str:
    """One line of what fits."""
    line = " ".join(words.split())
    return line if len(line) <= DESCRIPTION else line[: DESCRIPTION - 1] + "…"
