"""Proposals: branches that hold exactly the edit with which a waiting project goes on. Merging one is the answer.

Only a ``next`` is proposed: it is a compare-and-swap, so that it does nothing when it is merged late or twice.
``paused: false`` and ``environment`` are levels that hold whenever they are merged, and what is missing in
an environment only a person knows.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

from reconciler.core.decide import Wait, decide
from reconciler.core.desired import Desired, Forge, Next, Project
from reconciler.core.ledger import Ledger, ProjectHistory
from reconciler.core.names import Blob, Commit, ProjectName, StageName
from reconciler.core.requests import canonical, line_of, renewed, request_now
from reconciler.core.status import Offer, ProjectPhase

PREFIX = "proposals/"
ORDER = ("stage", "after", "from", "then", "environment", "id")
AWAITED = (ProjectPhase.AWAITING_INPUT, ProjectPhase.FAILED)


class Kind(StrEnum):
    CONTINUE = "continue"
    REDO = "redo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """``request`` is to stand as ``next`` in the project's file ``path``, whose content is ``blob``."""

    project: ProjectName
    run: int  # the project's last run; 0: none yet
    kind: Kind
    path: str
    blob: Blob
    request: Next

    @property
    def branch(self) -> str:
        return f"{PREFIX}{self.project}/{self.run}-{self.kind}"

    @property
    def title(self) -> str:
        again = " again" if self.kind is Kind.REDO else ""
        after = f" after run {self.run}" if self.run else ""
        return f"Start stage '{self.request.stage}'{again}{after}"

    @property
    def line(self) -> str:
        """The YAML that merging brings."""
        return line_of(self.request)

    @property
    def fields(self) -> dict[str, object]:
        """The value of ``next``, as plain data."""
        found = json.loads(canonical(self.request))
        return {name: found[name] for name in ORDER if name in found}

    @property
    def key(self) -> str:
        """The same for the same edit of the same file."""
        return hashlib.sha256(f"{self.path}\0{self.blob}\0{canonical(self.request)}".encode()).hexdigest()[:16]


# --- which should stand now ---


def proposals(desired: Desired, ledger: Ledger) -> tuple[Proposal, ...]:
    """All that should stand now."""
    return tuple(_proposals(desired, ledger)) if desired.site.proposals else ()


def _proposals(desired: Desired, ledger: Ledger) -> Iterator[Proposal]:
    for name, project in sorted(desired.projects.items()):
        history = ledger.history(name)
        if name not in ledger.unreadable:
            decision = decide(desired, project, history)
            yield from proposals_of(desired, project, history, decision) if isinstance(decision, Wait) else ()


def proposals_of(desired: Desired, project: Project, history: ProjectHistory, wait: Wait) -> tuple[Proposal, ...]:
    """The answer that ``wait`` names and, where that is another one, the last stage again.

    None for a paused project, where it would start nothing, and none for a broken file: its last good version goes
    on, and an edit of the broken one would not be read.
    """
    pipeline = desired.pipelines.get(project.pipeline)
    if wait.phase not in AWAITED or project.paused or pipeline is None or project.path in desired.stale:
        return ()
    stages = [stage.name for stage in pipeline.stages]
    onward = next((one for one in _requests(stages, project, history) if line_of(one) == wait.edit), None)
    if onward is None:  # the edit is no `next`, or one with gaps to fill, or there is none
        return ()
    asked = {Kind.CONTINUE: onward}
    last = history.last_run
    if last is not None and last.stage != onward.stage and last.stage in stages:
        asked[Kind.REDO] = request_now(last.stage, history)
    return tuple(
        Proposal(
            project=project.id,
            run=last.number if last else 0,
            kind=kind,
            path=project.path,
            blob=project.blob,
            request=request,
        )
        for kind, request in asked.items()
    )


def _requests(stages: Sequence[StageName], project: Project, history: ProjectHistory) -> Iterator[Next]:
    """All that ``decide`` may answer with: a stage asked for anew, or the project's own request put right."""
    for stage in stages:
        yield request_now(stage, history)
        if project.next is not None:
            yield renewed(replace(project.next, stage=stage), history)
            yield renewed(replace(project.next, stage=stage, base=None), history)


# --- what has to be done about it ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A branch below ``proposals/`` as the remote has it. No ``key``: its newest commit is somebody else's."""

    branch: str
    commit: Commit
    key: str | None = None
    is_merged: bool = False  # into main: it has nothing to offer any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    proposal: Proposal
    expected: Commit | None  # where the branch stands now


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A branch to make: one commit that gives ``path`` the content ``text``."""

    branch: str
    expected: Commit | None
    path: str
    text: str
    key: str
    title: str
    description: str
    at: datetime  # since when the project waits


def differences(
    wanted: Iterable[Proposal], standing: Sequence[Standing]
) -> tuple[tuple[Push, ...], tuple[Standing, ...]]:
    """What to push and what to withdraw. Somebody else's commit is neither replaced nor removed.

    A branch whose edit is still the right one stays as it is, however far main has moved on.
    """
    proposed = {proposal.branch: proposal for proposal in wanted}
    found = {one.branch: one for one in standing}
    push = [
        Push(proposal=proposal, expected=found[branch].commit if branch in found else None)
        for branch, proposal in proposed.items()
        if branch not in found or _is_outdated(found[branch], proposal)
    ]
    return tuple(push), tuple(one for one in standing if one.key is not None and one.branch not in proposed)


def _is_outdated(standing: Standing, proposal: Proposal) -> bool:
    return standing.key is not None and (standing.key != proposal.key or standing.is_merged)


# --- what people are shown ---


def offer(proposal: Proposal, forge: Forge | None, target: str) -> Offer:
    return Offer(branch=proposal.branch, title=proposal.title, url=merge_page(proposal.branch, forge, target))


def merge_page(branch: str, forge: Forge | None, target: str) -> str | None:
    """Where the forge lets a person open a merge request."""
    if forge is None:
        return None
    if forge.kind == "gitlab":
        source = f"merge_request%5Bsource_branch%5D={quote(branch, safe='')}"
        return f"{forge.url}/-/merge_requests/new?{source}&merge_request%5Btarget_branch%5D={quote(target, safe='')}"
    return f"{forge.url}/compare/{quote(target)}...{quote(branch)}"


def merge_command(offer: Offer) -> str:
    """For a clone of the state repository that is on main."""
    return f"git pull && git merge --no-edit origin/{offer.branch} && git push"
