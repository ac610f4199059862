"""``winslow rebuild``: the records with which a share that lost some becomes whole again.

Nothing that stands is touched. What is missing up to the numbers that were told is filled: restored where it is known,
REBUILT where it is not. Every open run is given up, and every project closed with one more record, so that whoever
froze before finds its next number taken. Doing it again after a crash adds what is still missing, and no more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.core.ledger import Ledger, ProjectHistory, Run, RunPhase
from reconciler.core.ledger_behind import OWN, Noted, missing, standing
from reconciler.core.names import ProjectName, RecordNumber, RunNumber, Token
from reconciler.core.records import Claim, DesiredSeen, Lost, ProjectRecord, Rebuilt, Released, RunCreated, RunRecord
from reconciler.core.requests import canonical
from reconciler.core.restored import Told, run_created, run_record
from reconciler.core.status import ProjectStatus, RunStatus, Status

OnDisk = Mapping[tuple[ProjectName, RunNumber], frozenset[int]]
"""Numbers of the claims whose directories are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A record to publish. ``run`` is whose, if it is not the project's own."""

    project: ProjectName
    run: RunCreated | None = None
    record: ProjectRecord | RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilding:
    """``projects`` as they will be; ``lost``: of each the runs whose files are gone."""

    additions: tuple[Addition, ...] = ()
    projects: Mapping[ProjectName, ProjectHistory]
    lost: Mapping[ProjectName, tuple[RunNumber, ...]]


def noted_in(status: Status) -> Iterator[Noted]:
    """As the files of the branch tell it."""
    for project in status.projects:
        ends = [(OWN, project.record, project.token), *((run.run, run.record, run.token) for run in project.runs)]
        for run, record, token in ends:
            if record and token:
                yield Noted(project=project.project, run=run, record=RecordNumber(record), token=Token(token))


def disputed(ledger: Ledger, status: Status) -> tuple[Noted, ...]:
    """Where the share holds another record than the one that was told: somebody went on from a backup."""
    lacking = missing(ledger, noted_in(status))
    return tuple(one for one in lacking if standing(ledger.history(one.project), one) is not None)


def rebuild(ledger: Ledger, status: Status, told: Told, on_disk: OnDisk) -> Rebuilding:
    """All that is to be added, in an order of which each prefix can be gone on from."""
    found = {project.project: project for project in status.projects}
    additions: list[Addition] = []
    projects, lost = {}, {}
    for name in sorted({*found, *(n for n, history in ledger.projects.items() if history.records)}):
        history = ledger.history(name)
        if history.is_purged or name in ledger.unreadable:
            continue
        part = _Project(name, history, found.get(name), told, on_disk)
        own, its_runs = tuple(part.records()), tuple(part.runs())
        added = [*own, *part.closing(), *its_runs]  # that files are lost stands before anybody could rely on them
        if part.history.records:
            additions += added
            projects[name], lost[name] = part.history, tuple(sorted(part.history.lost_files))
    return Rebuilding(additions=tuple(additions), projects=projects, lost=lost)


class _Project:
    """One project's history as it grows. Its three parts follow one another."""

    def __init__(
        self, name: ProjectName, history: ProjectHistory, status: ProjectStatus | None, told: Told, on_disk: OnDisk
    ) -> None:
        self.history = history
        self._name = name
        self._status = status
        self._told = told
        self._on_disk = on_disk
        self._lost = set(history.lost_files)

    def _add(self, record: ProjectRecord) -> Addition:
        runs = (*self.history.runs, Run(created=record)) if isinstance(record, RunCreated) else self.history.runs
        self.history = replace(self.history, records=(*self.history.records, record), runs=runs)
        return Addition(project=self._name, record=record)

    # --- its own records ---

    def records(self) -> Iterator[Addition]:
        if self._status is None:
            return
        created = {run.created: run for run in self._status.runs if run.created}
        end = max([self._status.record or 0, *(number for number in created if number)])
        for number in range(self.history.next_number, end + 1):
            token = self._status.token if number == self._status.record else None
            run = created.get(number)
            if run is not None:
                yield self._add(run_created(self._told, self._status, run, number, token))
            else:
                yield self._add(self._told.unknown(number, token))

    # --- its runs' records ---

    def runs(self) -> Iterator[Addition]:
        known = {run.run: run for run in self._status.runs} if self._status else {}
        whole = []
        for run in self.history.runs:
            added = tuple(self._run(run, known.get(run.number)))
            yield from (Addition(project=self._name, run=run.created, record=record) for record in added)
            whole.append(replace(run, records=(*run.records, *added)))
            if self._has_lost_files(whole[-1], is_new=bool(added)):
                self._lost.add(run.number)
        self.history = replace(self.history, runs=tuple(whole))

    def _run(self, run: Run, status: RunStatus | None) -> Iterator[RunRecord]:
        if status is not None:
            for number in range(run.next_number, (status.record or 0) + 1):
                record = run_record(self._told, status, number)
                run = replace(run, records=(*run.records, record))
                yield record
        if run.is_final or (isinstance(run.last, Released) and run.last.reason == "ShareLost"):
            return
        for number in range(run.next_number, max(self._there(run), default=0) + 1):
            record = self._told.unknown(number)  # somebody's claim, of which nobody told: its directory is taken
            run = replace(run, records=(*run.records, record))
            yield record
        yield self._given_up(run)

    def _given_up(self, run: Run) -> RunRecord:
        header = self._told.header(run.next_number)
        base = run.created.base
        if base is not None and base.run in self._lost:
            message = f"the workspace of run {base.run} ({base.stage}), from which it began, was lost with the share"
            return Lost(**header, reason="ShareLost", message=message)
        if not run.created.pipeline_blob:  # restored without the commit that asked for it
            message = "the share was lost, and main no longer holds the commit that says what this run was to do"
            return Lost(**header, reason="ShareLost", message=message)
        message = "the share was lost or put back to an older state meanwhile"
        return Released(**header, reason="ShareLost", message=message, counts=not isinstance(run.last, Claim))

    def _there(self, run: Run) -> frozenset[int]:
        return self._on_disk.get((self._name, run.number), frozenset())

    def _has_lost_files(self, run: Run, *, is_new: bool) -> bool:
        """``is_new``: its end was not on the share. So what lies there may be what it had written until a backup."""
        claim = run.last_claim
        return run.is_final and claim is not None and (is_new or claim.number not in self._there(run))

    # --- its end ---

    def closing(self) -> Iterator[Addition]:
        """What the file said, and the record that closes the history."""
        last = self.history.records[-1] if self.history.records else None
        beyond = last is not None and last.number > ((self._status.record if self._status else None) or 0)
        if last is None or (beyond and isinstance(last, Rebuilt) and last.observed == self._told.observed):
            return
        if (desired := self._desired()) is not None:
            yield self._add(desired)
        yield self._add(self._told.unknown(self.history.next_number, lost=tuple(sorted(self._lost))))

    def _desired(self) -> DesiredSeen | None:
        """Without it a request that had no effect any more would look like one that was just made."""
        wishes = self._told.wishes.get(self._told.commit)
        project = wishes.projects.get(self._name) if wishes else None
        newest = next((r for r in reversed(self.history.records) if isinstance(r, DesiredSeen | Rebuilt)), None)
        if project is None or self._status is None or isinstance(newest, DesiredSeen):
            return None
        run = self.history.last_run
        told = next((one for one in self._status.runs if run is not None and one.run == run.number), None)
        was_open = told is not None and told.phase in (RunPhase.STARTING, RunPhase.RUNNING)
        is_stale = any(one.type == "RequestStale" for one in self._status.conditions)
        return DesiredSeen(
            **self._told.header(self.history.next_number),
            commit=self._told.commit,
            blob=project.blob,
            digest=project.digest,
            paused=project.paused,
            request=canonical(project.next) if project.next else None,
            abort=project.abort,
            open_run=run.number if run is not None and (was_open or is_stale) else None,
        )
