"""Transitions that people want to hear of: a project needs a person, or has ended.

Each has an id made of what it is about (share, project, phase, reason and the record that brought it about), never
of a time, a node or a wording: whoever looks, and however often, sees the same transition under the same id.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from reconciler.core.decide import how_it_failed
from reconciler.core.desired import Desired, Notification, Project
from reconciler.core.ledger import Ledger, ProjectHistory, Run, RunPhase
from reconciler.core.names import NodeName, ProjectName, RunNumber, ShareId, StageName
from reconciler.core.requests import canonical
from reconciler.core.status import Offer, ProjectPhase, ProjectStatus, Status, WaitingFor

MASS_DELETION = "DeletionUnconfirmed"
BAD_ENDS = (RunPhase.FAILED, RunPhase.LOST, RunPhase.ABORTED)
ABOUT_THE_REQUEST = ("StageUnknown", "BaseUnknown")
"""Reasons for which another ``next`` is another story, though nothing has run meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """``run``, ``stage`` and ``node`` are those of the project's last run, or of the failed one; None: nothing ran.

    ``edit`` and ``offers`` say how to go on; a failure that somebody has answered already (not ``stands``) has none.
    """

    id: str
    project: ProjectName
    name: str
    phase: ProjectPhase
    reason: str
    message: str
    path: str = ""  # of the project's file
    tags: tuple[str, ...] = ()
    at: datetime | None = None  # when it came about; None: nobody recorded that
    run: RunNumber | None = None
    stage: StageName | None = None
    node: NodeName | None = None
    exit_code: int | None = None
    log: str | None = None  # its path on the share
    tail: tuple[str, ...] = ()  # the log's last lines
    results: Mapping[str, str] = field(default_factory=dict)
    edit: str | None = None
    url: str | None = None  # where to write the edit
    offers: tuple[Offer, ...] = ()
    repository: str | None = None  # its web page
    stands: bool = True
    is_test: bool = False


def transitions(desired: Desired, ledger: Ledger, status: Status) -> tuple[Transition, ...]:
    """All that can be told now, the oldest first.

    Failures are told of every run that ever failed: nobody may have been looking before somebody went on.
    Everything else is told while it stands. Projects whose file is gone are nobody's concern any more, unless so many
    are gone that somebody has to confirm it: that is one question, asked for the first of them.
    """
    looks = (
        _Look(desired, ledger.share, desired.projects.get(seen.project), ledger.history(seen.project), seen)
        for seen in _each_question_once(status.projects)
    )
    found = [one for look in looks for one in look.transitions()]
    return tuple(sorted(found, key=lambda one: (one.at or datetime.max.replace(tzinfo=UTC), one.project, one.run or 0)))


def _each_question_once(projects: Iterable[ProjectStatus]) -> Iterator[ProjectStatus]:
    is_asked = False
    for seen in projects:
        is_mass_deletion = seen.waiting_for is not None and seen.waiting_for.reason == MASS_DELETION
        if not (is_mass_deletion and is_asked):
            yield seen
        is_asked = is_asked or is_mass_deletion


def concerns(entry: Notification, transition: Transition) -> bool:
    return transition.phase in entry.phases and (not entry.tags or not set(entry.tags).isdisjoint(transition.tags))


@dataclass(frozen=True, slots=True)
class _Look:
    """Everything about one project."""

    desired: Desired
    share: ShareId
    project: Project | None  # None: its file is gone, or was never whole
    history: ProjectHistory
    seen: ProjectStatus

    def transitions(self) -> Iterator[Transition]:
        if self.project is not None:
            yield from (self._failure(run) for run in self.history.runs if run.phase in BAD_ENDS and self._is_news(run))
        if self.seen.phase is ProjectPhase.INVALID or (
            self.project is None and self.seen.phase is ProjectPhase.AWAITING_INPUT
        ):
            yield self._about_files(self.seen.phase)
        elif self.project is not None and self.seen.phase is ProjectPhase.AWAITING_INPUT:
            yield from self._awaiting(self.project)
        elif self.project is not None and self.seen.phase is ProjectPhase.SUCCEEDED:
            yield from self._succeeded()

    def _is_news(self, run: Run) -> bool:
        """A person aborted it and has gone on: nobody needs to be told."""
        return run.phase is not RunPhase.ABORTED or self._stands(run)

    def _stands(self, run: Run) -> bool:
        return self.seen.phase is ProjectPhase.FAILED and self.seen.last_run == run.number

    def _failure(self, run: Run) -> Transition:
        reason, message = how_it_failed(run)
        stands = self._stands(run)
        about = run.last.token if run.last else ""
        needs = self.seen.waiting_for if stands else None
        said = needs.message if needs else message  # the status may know more about how to go on
        return self._transition(ProjectPhase.FAILED, reason, said, about, run=run, needs=needs, stands=stands)

    def _about_files(self, phase: ProjectPhase) -> Transition:
        """Files that can't be used, or are gone, have no record: what is said of them is what this is about."""
        waiting = self.seen.waiting_for or WaitingFor(reason=phase.value, message="")
        known = self.project is not None and waiting.reason != "RecordUnreadable"
        about = self.project.blob if self.project is not None and known else waiting.message
        return self._transition(phase, waiting.reason, waiting.message, about, needs=waiting)

    def _awaiting(self, project: Project) -> Iterator[Transition]:
        """Before the project's file is recorded there is nothing to make an id of."""
        run, waiting = self.history.last_run, self.seen.waiting_for
        record = run.last if run is not None else next(iter(self.history.records), None)
        if record is None or waiting is None:
            return
        asked = canonical(project.next) if project.next and waiting.reason in ABOUT_THE_REQUEST else ""
        about = f"{record.token} {asked}"
        yield self._transition(
            ProjectPhase.AWAITING_INPUT, waiting.reason, waiting.message, about, run=run, needs=waiting, at=record.at
        )

    def _succeeded(self) -> Iterator[Transition]:
        """Finished is finished, whatever the status says besides: a stale request, added stages."""
        run = self.history.last_run
        if run is not None and run.last is not None:
            yield self._transition(
                ProjectPhase.SUCCEEDED, "Finished", "all stages have succeeded", run.last.token, run=run
            )

    def _transition(
        self,
        phase: ProjectPhase,
        reason: str,
        message: str,
        about: str,
        *,
        run: Run | None = None,
        needs: WaitingFor | None = None,
        at: datetime | None = None,
        stands: bool = True,
    ) -> Transition:
        shown = next((one for one in self.seen.runs if run is not None and one.run == run.number), None)
        forge = self.desired.site.forge
        return Transition(
            id=_identity(self.share, self.seen.project, phase, reason, about),
            project=self.seen.project,
            name=self.seen.name,
            phase=phase,
            reason=reason,
            message=message,
            path=self.seen.path,
            tags=self.seen.tags,
            at=run.last.at if run is not None and run.last is not None else at,
            run=run.number if run else None,
            stage=run.stage if run else None,
            node=shown.node if shown else None,
            exit_code=shown.exit_code if shown else None,
            log=shown.log if shown else None,
            tail=shown.tail if shown else (),
            results=shown.results if shown else {},
            edit=needs.edit if needs else None,
            url=needs.url if needs else None,
            offers=self.seen.offers if needs else (),
            repository=forge.url if forge else None,
            stands=stands,
        )


def _identity(share: ShareId, project: ProjectName, phase: ProjectPhase, reason: str, about: str) -> str:
    """Letters and digits only: it serves as a file's name, a header and a part of a message id."""
    text = json.dumps([share, project, phase.value, reason, about])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
