"""Requests (``next``): their identity, what became of them, and the line a person pastes to write one."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from reconciler.core.desired import Environment, EnvironmentValue, Next, Pins, Project, Secret, Then, Unchanged
from reconciler.core.ledger import ProjectHistory, Run, RunPhase
from reconciler.core.names import RunNumber, StageName
from reconciler.core.records import DesiredSeen
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
        "pins": pins_of(request.pins) or None,
        "unchanged": None if request.unchanged is Unchanged.RUN else request.unchanged.value,
        "id": request.id,
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def pins_of(pins: Pins) -> dict[str, object]:
    """As it is written in YAML; nothing of what it leaves to the pipeline."""
    process = {"command": list(pins.process_command)} if pins.process_command else None
    fields = {"image": pins.image, "command": list(pins.command) or None, "process": process}
    return {name: value for name, value in fields.items() if value is not None}


def next_line(stage: StageName, after: RunNumber | None, identity: str | None = None) -> str:
    """The YAML that asks for ``stage`` now, e.g. ``next: {stage: track, after: 3}``."""
    return line_of(Next(stage=stage, after=after, id=identity))


def line_of(request: Next) -> str:
    """The request as YAML on one line, as a person would write it."""
    fields = [f"stage: {yaml_word(request.stage)}"]
    fields += [] if request.after is None else [f"after: {request.after}"]
    fields += [] if request.base is None else [f"from: {request.base}"]
    fields += [] if request.then is Then.CONTINUE else [f"then: {request.then}"]
    fields += [f"environment: {yaml_environment(request.environment)}"] if request.environment else []
    pins = pins_of(request.pins)
    fields += [f"pins: {json.dumps(pins, ensure_ascii=False)}"] if pins else []  # YAML reads it, too
    fields += [] if request.unchanged is Unchanged.RUN else [f"unchanged: {request.unchanged}"]
    fields += [] if request.id is None else [f"id: {yaml_word(request.id)}"]
    return "next: {" + ", ".join(fields) + "}"


def request_is_due(request: Next, history: ProjectHistory) -> bool:
    """Does the request start its stage now? (Not handled, not stale, not ahead of the project.)"""
    last = history.last_run
    if last is None:
        return request.after is None
    return request.after == last.number and last.is_final and _survives(request, last, history)


def answered_by(request: Next, history: ProjectHistory) -> Run | None:
    """The run that this very request started, if it was handled already."""
    text = canonical(request)
    return next((run for run in history.runs if run.created.request == text), None)


def _survives(request: Next, last: Run, history: ProjectHistory) -> bool:
    """A request made before run ``after`` had ended does not survive that run's failure: nobody knew of it.

    Unless it came together with the order to abort that run: then the person meant what comes after.
    """
    came = _came_with(request, history)
    if came is None or last.phase is RunPhase.SUCCEEDED or came.abort == last.number:
        return True
    return came.open_run != last.number and came.number > last.created.number


def _came_with(request: Next, history: ProjectHistory) -> DesiredSeen | None:
    """The record that brought the request: since then, every one carries it. What was withdrawn comes anew."""
    text, found = canonical(request), None
    for record in reversed(history.records):
        if isinstance(record, DesiredSeen) and record.request == text:
            found = record
        elif isinstance(record, DesiredSeen) and found is not None:
            break
    return found


def renewed(request: Next, history: ProjectHistory) -> Next:
    """The same request, asked now so that it works: with an id, if just this was spent already."""
    last = history.last_run
    if last is None:
        return replace(request, after=None, id=None)
    asked = (replace(request, after=last.number, id=spare) for spare in _spare_ids(history))
    return next(again for again in asked if _survives(again, last, history))


def request_now(stage: StageName, history: ProjectHistory) -> Next:
    """What asks for ``stage`` now and works."""
    return renewed(Next(stage=stage), history)


def request_line(stage: StageName, history: ProjectHistory) -> str:
    """The YAML of ``request_now``."""
    return line_of(request_now(stage, history))


def _spare_ids(history: ProjectHistory) -> Iterator[str | None]:
    """Identities to try: one more than can have been spent."""
    yield from (None, "again")
    yield from (f"again-{number}" for number in range(2, len(history.records) + 3))


def request_conditions(project: Project, history: ProjectHistory) -> tuple[Condition, ...]:
    """What became of the project's ``next``, when it isn't simply due."""
    request = project.next
    if request is None or request_is_due(request, history):
        return ()
    return (_not_due(project, request, history),)


def _not_due(project: Project, request: Next, history: ProjectHistory) -> Condition:
    run = answered_by(request, history)
    if run is not None:
        return condition("RequestHandled", f"next was answered by run {run.number} ({run.stage})")
    last = history.last_run
    number = last.number if last else None
    line = line_of(renewed(request, history))
    if last is not None and request.after == last.number and not last.is_final:
        if project.abort == last.number and not _survives(request, last, history):
            message = f"next came before the order to abort run {last.number}, so it won't start '{request.stage}'"
            return condition("RequestStale", f"{message}; to ask for it all the same write: {line}")
        ended = "was aborted" if project.abort == last.number else "has succeeded"
        return condition("RequestPending", f"next starts '{request.stage}' once run {last.number} {ended}")
    if request.after is not None and request.after > _last_number(history):
        message = f"next waits for run {request.after}; the last run is {number or 'none'}"
        return condition("RequestPending", f"{message}; to ask for what comes after that write: {line}")
    return condition("RequestStale", f"next is stale (the last run is {number or 'none'}); to ask again write: {line}")


def abort_conditions(project: Project, history: ProjectHistory) -> tuple[Condition, ...]:
    """An ``abort`` that is ahead of the project: most likely a slip, and it will hit that run."""
    last = _last_number(history)
    if project.abort is None or project.abort <= last:
        return ()
    message = f"abort names run {project.abort}, which does not exist yet (the last run is {last or 'none'})"
    return (
        condition("AbortPending", f"{message}; it will be aborted as soon as it begins: remove or correct the line"),
    )


def _last_number(history: ProjectHistory) -> int:
    """Of the last run, also of a purged namesake's: numbers go on above those."""
    if history.last_run is not None:
        return history.last_run.number
    return history.retired.run if history.retired else 0


# --- YAML on one line ---

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NOT_TEXT = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def yaml_word(text: str) -> str:
    """Plain where YAML can't take it for anything else, else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return yaml_text(text)


def yaml_text(text: str) -> str:
    escaped = (char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08X}" for char in text)
    return '"' + "".join(escaped) + '"'


def yaml_environment(environment: Environment) -> str:
    return "{" + ", ".join(f"{name}: {_yaml_value(value)}" for name, value in environment.items()) + "}"


def _yaml_value(value: EnvironmentValue) -> str:
    match value:
        case None:
            return "null"
        case Secret(secret=name):
            return f"{{secret: {yaml_word(name)}}}"
        case text:
            return yaml_text(text)
