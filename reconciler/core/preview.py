"""What merging a change would do, before anybody merges it: the same rules as ``plan``, asked twice.

``preview`` decides for the files as they are and for the files as they would be, on the same ledger, and tells
the difference. What an open run will become nobody knows, so of what follows it the case of success is told.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.core.conditions import changed_environment
from reconciler.core.decide import Decision, RunOpen, StartStage, Wait, decide
from reconciler.core.desired import Desired, Project
from reconciler.core.draft import Header
from reconciler.core.environment import run_environment
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.lifecycle import absent, obstacle, unconfirmed
from reconciler.core.names import ProjectName, RecordNumber, RunNumber, StageName
from reconciler.core.nodes import Node
from reconciler.core.records import Aborted, DesiredSeen, Done, Record, RunRecord
from reconciler.core.report import explain
from reconciler.core.requests import abort_conditions, canonical, line_of, renewed, request_conditions, request_line
from reconciler.core.status import ProjectPhase


class EffectKind(StrEnum):
    STARTS = "starts"
    STOPS = "stops"
    PAUSES = "pauses"
    WAITS = "waits"
    STALE = "stale"
    ENVIRONMENT = "environment"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One thing that merging does to a project. ``edit`` is the line to paste for what it does not do."""

    project: ProjectName
    kind: EffectKind
    message: str
    stage: StageName | None = None
    run: RunNumber | None = None  # the one that is stopped, or that has to end first
    edit: str | None = None


@dataclass(frozen=True, slots=True)
class _Outlook:
    """A project's history once its file was seen, and once its open run (``going``) has succeeded."""

    project: Project
    history: ProjectHistory
    going: Run | None
    decision: Decision


def preview(before: Desired, after: Desired, ledger: Ledger, nodes: Sequence[Node]) -> tuple[Effect, ...]:
    """At least one effect of every project that either side has, by name."""
    held = unconfirmed(after, ledger)
    return tuple(
        effect
        for name in sorted({*before.projects, *after.projects})
        for effect in _of_project(before, after, ledger, nodes, name, held)
    )


def _of_project(
    before: Desired, after: Desired, ledger: Ledger, nodes: Sequence[Node], name: ProjectName, held: Set[ProjectName]
) -> Sequence[Effect]:
    if name in ledger.unreadable:
        return [_nothing(name, f"unknown, because its records can't be read: {ledger.unreadable[name]}")]
    was, now = before.projects.get(name), after.projects.get(name)
    history = ledger.history(name)
    if now is None:
        return [_deletion(after, ledger, name, held)]
    earlier = _outlook(before, was, history) if was else None
    then = _outlook(after, now, history)
    found = [
        *_abort(was, now, history),
        *_decision(after, ledger, nodes, earlier, then),
        *_request(earlier, then),
        *_environment(before, after, earlier, then),
    ]
    return found or [_nothing(name, "nothing")]


def _nothing(name: ProjectName, message: str) -> Effect:
    return Effect(project=name, kind=EffectKind.NOTHING, message=message)


def _deletion(after: Desired, ledger: Ledger, name: ProjectName, held: Set[ProjectName]) -> Effect:
    """``held``: too many at once; as for a file that may only be broken, nothing happens until a person is clear."""
    if name in held or obstacle(after, name):
        return Effect(project=name, kind=EffectKind.WAITS, message=absent(after, ledger, name, held).message)
    run = ledger.history(name).last_run
    going = run if run is not None and not run.is_final else None
    stops = f" and stops {_called(going)}" if going else ""
    kept = f"its files stay for {after.site.retention.total_seconds() / 86_400:g} days"
    return Effect(
        project=name,
        kind=EffectKind.STOPS,
        message=f"deletes the project{stops}; {kept}",
        stage=going.stage if going else None,
        run=going.number if going else None,
    )


# --- how the ledger would go on ------------------------------------------------------------------


def _outlook(desired: Desired, project: Project, history: ProjectHistory) -> _Outlook:
    seen = _with_file_seen(desired, project, history)
    run = seen.last_run
    going = None
    if run is not None and not run.is_final:
        if project.abort == run.number:
            seen = _with_end(seen, Aborted(**_header(run.created, run.next_number), commit=desired.commit))
        else:
            going = run
            seen = _with_end(seen, Done(**_header(run.created, run.next_number), exit_code=0))
    return _Outlook(project, seen, going, decide(desired, project, seen))


def _with_file_seen(desired: Desired, project: Project, history: ProjectHistory) -> ProjectHistory:
    """The nodes' first record after the merge: when a request was made decides what becomes of it."""
    newest, last = history.last_desired, history.last_run
    if newest is None or newest.blob == project.blob:
        return history
    record = DesiredSeen(
        **_header(newest, history.next_number),
        commit=desired.commit,
        blob=project.blob,
        paused=project.paused,
        request=canonical(project.next) if project.next else None,
        abort=project.abort,
        open_run=last.number if last is not None and not last.is_final else None,
    )
    return replace(history, records=(*history.records, record))


def _with_end(history: ProjectHistory, end: RunRecord) -> ProjectHistory:
    *others, last = history.runs
    return replace(history, runs=(*others, replace(last, records=(*last.records, end))))


def _header(like: Record, number: RecordNumber) -> Header:
    """Of a record that nobody will publish; only its place matters here."""
    return Header(number=number, token=like.token, share=like.share, node=like.node, at=like.at)


# --- the difference ------------------------------------------------------------------------------


def _abort(was: Project | None, now: Project, history: ProjectHistory) -> Iterator[Effect]:
    """An order that is given anew."""
    if now.abort is None or (was is not None and was.abort == now.abort):
        return
    for ahead in abort_conditions(now, history):
        yield Effect(project=now.id, kind=EffectKind.WAITS, message=ahead.message, run=now.abort)
    run = history.run(now.abort)
    if run is not None and run.is_final:
        message = f"abort: {_called(run)} is over ({run.phase}); this does nothing"
        yield Effect(project=now.id, kind=EffectKind.STALE, message=message, run=run.number)
    elif run is not None:
        message = f"aborts {_called(run)}"
        yield Effect(project=now.id, kind=EffectKind.STOPS, message=message, stage=run.stage, run=run.number)


def _decision(
    after: Desired, ledger: Ledger, nodes: Sequence[Node], earlier: _Outlook | None, then: _Outlook
) -> Iterator[Effect]:
    """What the project does next, if that is something else than without the change."""
    if earlier is not None and _gist(earlier) == _gist(then):
        return
    name, going = then.project.id, then.going.number if then.going else None
    match then.decision:
        case StartStage(stage=stage, request=request):
            message = f"starts '{stage.name}' as run {then.history.next_run}" + _after(then)
            message += ", as next asks" if request else ""
            message += _unplaced(after, ledger, nodes, then)
            yield Effect(project=name, kind=EffectKind.STARTS, message=message, stage=stage.name, run=going)
        case Wait(phase=ProjectPhase.PAUSED) as wait:
            message = "pauses" + _after(then) + ": nothing new starts"
            yield Effect(project=name, kind=EffectKind.PAUSES, message=message, stage=wait.stage, run=going)
        case Wait(phase=ProjectPhase.SUCCEEDED) as wait:
            yield _nothing(name, f"starts nothing{_after(then)}: {wait.message}")
        case Wait() as wait:
            message = f"waits{_after(then)}: {wait.message}"
            yield Effect(
                project=name, kind=EffectKind.WAITS, message=message, stage=wait.stage, run=going, edit=wait.edit
            )
        case RunOpen():
            return


def _gist(outlook: _Outlook) -> tuple[object, ...]:
    """What makes one decision another one: not its words."""
    match outlook.decision:
        case StartStage(stage=stage, request=request, base=base):
            return (stage.name, canonical(request) if request else None, base, outlook.going is None)
        case Wait() as wait:
            return (wait.phase, wait.reason, wait.stage)
        case RunOpen(run=run):
            return (run.number,)


def _after(outlook: _Outlook) -> str:
    return f" once {_called(outlook.going)} has succeeded" if outlook.going else ""


def _unplaced(after: Desired, ledger: Ledger, nodes: Sequence[Node], then: _Outlook) -> str:
    """No node could take the stage: that is worth knowing before the merge."""
    seen = replace(ledger, projects={**ledger.projects, then.project.id: then.history})
    wait, _ = explain(after, seen, nodes, then.project)
    return f"; but {wait.message}" if wait.reason in ("NoNodeFits", "LimitTooLow") else ""


def _request(earlier: _Outlook | None, then: _Outlook) -> Iterator[Effect]:
    """A ``next`` that would do nothing now: it comes too late, too early, or a second time."""
    same = earlier is not None and earlier.project.next == then.project.next
    known = {told.type for told in request_conditions(earlier.project, earlier.history)} if earlier and same else set()
    for told in request_conditions(then.project, then.history):
        if told.type not in known and then.project.next is not None:
            yield Effect(
                project=then.project.id,
                kind=EffectKind.WAITS if told.type == "RequestPending" else EffectKind.STALE,
                message=told.message,
                stage=then.project.next.stage,
                edit=line_of(renewed(then.project.next, then.history)) if told.type == "RequestStale" else None,
            )


def _environment(before: Desired, after: Desired, earlier: _Outlook | None, then: _Outlook) -> Iterator[Effect]:
    """Variables of a stage that ran already; nothing to say if the change itself starts it, or one before it."""
    found = changed_environment(after, then.project, then.history)
    if found is None:
        return
    run, names = found
    if earlier and _values(before, earlier.project, run.stage) == _values(after, then.project, run.stage):
        return
    if isinstance(then.decision, StartStage) and not _follows(then.decision, run.stage):
        return
    line = request_line(run.stage, then.history)
    yield Effect(
        project=then.project.id,
        kind=EffectKind.ENVIRONMENT,
        message=f"changes {', '.join(names)} of '{run.stage}' (run {run.number}), which starts nothing",
        stage=run.stage,
        run=run.number,
        edit=line,
    )


def _values(desired: Desired, project: Project, name: StageName) -> Mapping[str, object] | None:
    pipeline = desired.pipelines.get(project.pipeline)
    stage = pipeline.stage(name) if pipeline else None
    if pipeline is None or stage is None:
        return None
    settings = run_environment(desired, pipeline, stage, project, None)
    return {variable: setting.value for variable, setting in settings.items()}


def _follows(start: StartStage, stage: StageName) -> bool:
    """Does the stage to start come after ``stage`` in the pipeline's order?"""
    names = [one.name for one in start.pipeline.stages]
    return stage in names and names.index(start.stage.name) > names.index(stage)


def _called(run: Run) -> str:
    where = f" on {run.claim.node}" if run.claim else ""
    return f"run {run.number} ({run.stage}){where}"
