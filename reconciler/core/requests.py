"""Requests (``next``): their identity, what became of them, and the line a person pastes to write one."""

import json
from collections.abc import Iterator

from reconciler.core.desired import Next, Project, Secret, Then
from reconciler.core.ledger import DesiredSeen, ProjectHistory, Run, RunPhase
from reconciler.core.names import RunNumber, StageName
from reconciler.core.status import Condition, condition


def canonical(request: Next) -> str:
    """The same text for the same request, however its YAML was laid out."""
    environment = {
        name: {"secret": value.secret} if isinstance(value, Secret) else value
        for name, value in request.environment.items()
    }
    fields = {
        "stage": request.stage,
        "after": request.after,
        "from": request.base,
        "then": None if request.then is Then.CONTINUE else request.then.value,
        "environment": environment or None,
        "id": request.id,
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def next_line(stage: StageName, after: RunNumber | None, identity: str | None = None) -> str:
    """The YAML that asks for ``stage`` now, e.g. ``next: {stage: track, after: 3}``."""
    fields = [f"stage: {stage}"]
    fields += [] if after is None else [f"after: {after}"]
    fields += [] if identity is None else [f"id: {identity}"]
    return "next: {" + ", ".join(fields) + "}"


def request_is_due(request: Next, history: ProjectHistory) -> bool:
    """Does the request start its stage now? (Not handled, not stale, not ahead of the project.)"""
    if answered_by(request, history) is not None:
        return False
    last = history.last_run
    if last is None:
        return request.after is None
    return request.after == last.number and not _outlived_by_failure(request, last, history)


def answered_by(request: Next, history: ProjectHistory) -> Run | None:
    """The run that this very request started, if it was handled already."""
    text = canonical(request)
    return next((run for run in history.runs if run.created.request == text), None)


def _outlived_by_failure(request: Next, last: Run, history: ProjectHistory) -> bool:
    """A request made while run ``after`` was going does not survive that run's failure.

    Unless the commit that made it also aborted that run: then the person meant what comes after.
    """
    if last.phase is RunPhase.SUCCEEDED:
        return False
    text = canonical(request)
    seen = (record for record in history.records if isinstance(record, DesiredSeen))
    first = next((record for record in seen if record.request == text), None)
    return first is not None and first.open_run == last.number and first.abort != last.number


def request_now(stage: StageName, history: ProjectHistory) -> Next:
    """What asks for ``stage`` now and works: with an id, if the same request was spent already."""
    after = history.last_run.number if history.last_run else None
    for spare in _spare_ids(history):
        request = Next(stage=stage, after=after, id=spare)
        if request_is_due(request, history):
            return request
    return Next(stage=stage, after=after)  # a run is open: the request waits for it


def request_line(stage: StageName, history: ProjectHistory) -> str:
    """The YAML of ``request_now``."""
    request = request_now(stage, history)
    return next_line(stage, request.after, request.id)


def _spare_ids(history: ProjectHistory) -> Iterator[str | None]:
    """Identities to try: one more than can have been spent."""
    yield from (None, "again")
    yield from (f"again-{number}" for number in range(2, len(history.records) + 3))


def request_conditions(project: Project, history: ProjectHistory) -> tuple[Condition, ...]:
    """What became of the project's ``next``, when it isn't simply due."""
    request = project.next
    if request is None or request_is_due(request, history):
        return ()
    run = answered_by(request, history)
    if run is not None:
        return (condition("RequestHandled", f"next was answered by run {run.number} ({run.stage})"),)
    last = history.last_run
    number = last.number if last else None
    if last is not None and request.after == last.number and not last.is_final:
        return (condition("RequestPending", f"next starts '{request.stage}' once run {last.number} has succeeded"),)
    if request.after is not None and (number is None or request.after > number):
        return (condition("RequestPending", f"next waits for run {request.after}; the last run is {number or 'none'}"),)
    line = request_line(request.stage, history)
    return (condition("RequestStale", f"next is stale (the last run is {number}); to ask again write: {line}"),)
