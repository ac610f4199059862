"""Edits that say what shall run: resume, redo, goto, pause, abort. Each writes ``next``, ``paused`` or ``abort``."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer

from reconciler.cli.edits.environment import assignments, settings
from reconciler.cli.edits.onward import OPEN, onward
from reconciler.cli.edits.state import Edit, State
from reconciler.cli.options import ProjectArgument
from reconciler.codec.edit import Change, Put
from reconciler.codec.yaml import compose
from reconciler.core.desired import Then
from reconciler.core.status import ProjectPhase, ProjectStatus, RunStatus
from reconciler.errors import BadInput

ThenOption = Annotated[Then | None, typer.Option("--then", help="pause: run this one stage, then wait for a person.")]
FromOption = Annotated[int | None, typer.Option("--from", metavar="RUN", min=1, help="Whose workspace to start from.")]
AbortOption = Annotated[bool, typer.Option("--abort", help="Abort the run that is going, to start at once.")]


def resume(state: State, project: ProjectArgument) -> Edit:
    """Let a paused, waiting or failed project go on."""
    if state.project(project).paused:
        follows = _unpaused(state, project)
        return state.change(project, Put(("paused",), False), subject="resume", follows=_seen(project, follows))
    status = state.status(project)
    if status is None:
        raise BadInput(f"no node has reported about '{project}' yet, so nothing waits; see winslow status {project}")
    waiting = status.waiting_for
    if waiting is None:
        raise BadInput(f"'{project}' is {status.phase}: there is nothing to resume; see winslow status {project}")
    request = _request_in(waiting.edit)
    if request is None:
        raise BadInput(f"'{project}' waits for something else: {waiting.message}{_instead(project, status)}")
    stage = str(request["stage"])
    subject = f"start {stage}{_after(request.get('after'))}"
    follows = _seen(project, f"stage '{stage}' starts")
    return state.change(project, Put(("next",), request), subject=subject, follows=follows)


def redo(
    state: State,
    project: ProjectArgument,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STAGE] [KEY=VALUE ...]", help="The last run's stage without a name; variables to change."
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="The variables hold for this run alone, not for the project.")
    ] = False,
    then: ThenOption = None,
    from_run: FromOption = None,
    abort: AbortOption = False,
) -> Edit:
    """Run a stage again, with other variables if you like."""
    given = list(words or [])
    named = given.pop(0) if given and "=" not in given[0] else None
    last = _last(state.status(project))
    stage = named or (last.stage if last else None)
    if stage is None:
        raise BadInput(f"nothing ran yet in '{project}'; name the stage to start: winslow goto {project} STAGE")
    variables = assignments(given)
    asked = Asked(stage=stage, then=then, base=from_run, abort=abort, environment=variables if once else {})
    first = [] if once else settings(state.project(project), variables, stage)
    return request(state, project, asked, word="redo", first=first)


def goto(
    state: State,
    project: ProjectArgument,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A stage of the project's pipeline.")],
    variables: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", hidden=True)] = None,
    then: ThenOption = None,
    from_run: FromOption = None,
    abort: AbortOption = False,
) -> Edit:
    """Go on with any stage, forward or back."""
    if variables:
        raise BadInput(f"goto sets no variables; write winslow redo {project} {stage} {' '.join(variables)}")
    asked = Asked(stage=stage, then=then, base=from_run, abort=abort, environment={})
    return request(state, project, asked, word="start", first=[])


def pause(state: State, project: ProjectArgument) -> Edit:
    """Start nothing new in a project. The run that is going goes on to its end."""
    last = _last(state.glance(project))
    going = f"run {last.run} ({last.stage}) goes on to its end, and " if last and last.phase in OPEN else ""
    follows = f"{going}nothing new starts before winslow resume {project}"
    return state.change(project, Put(("paused",), True), subject="pause", follows=follows)


def abort(
    state: State,
    project: ProjectArgument,
    run: Annotated[
        int | None, typer.Argument(metavar="RUN", min=1, help="The run that is going, without a number.")
    ] = None,
) -> Edit:
    """Abort the run that is going. Nothing follows before somebody asks."""
    going = _going(project, state.status(project), run)
    follows = f"run {going.run} ({going.stage}) is stopped once its node has seen it, and counts as failed; then: "
    return state.change(
        project,
        Put(("abort",), going.run),
        subject=f"abort run {going.run} ({going.stage})",
        follows=f"{follows}winslow redo {project}, or goto",
    )


def _unpaused(state: State, project: str) -> str:
    """A gate stays one: a second resume in a hurry must be a choice."""
    found = state.project(project)
    pipeline, status = state.desired.pipelines.get(found.pipeline), state.glance(project)
    return onward(project, found, pipeline, status, resumed=True) if pipeline and status else "it goes on"


# --- the request ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    stage: str
    then: Then | None
    base: int | None
    abort: bool
    environment: Mapping[str, object]
    pins: Mapping[str, object] = field(default_factory=dict)


def request(state: State, project: str, asked: Asked, *, word: str, first: Sequence[Change]) -> Edit:
    """``next`` for the newest run that the nodes reported, after the changes in ``first``."""
    check_stage(state, project, asked.stage)
    status = state.status(project)
    last = _last(status)
    _check_base(project, status, asked.base)
    fields: dict[str, object] = {"stage": asked.stage}
    fields |= {"after": last.run} if last else {}
    fields |= {"from": asked.base} if asked.base else {}
    fields |= {"then": asked.then.value} if asked.then else {}
    fields |= {"environment": dict(asked.environment)} if asked.environment else {}
    fields |= {"pins": dict(asked.pins)} if asked.pins else {}
    fields |= _identity(state, project, status, fields, abort=asked.abort)
    aborting = [Put(("abort",), _going(project, status, None).run)] if asked.abort else []
    return state.change(
        project,
        *(*first, *aborting, Put(("next",), fields)),
        subject=f"{word} {asked.stage}{_after(fields.get('after'))}",
        follows=_seen(project, _follows(state, project, last, asked)),
    )


def _follows(state: State, project: str, last: RunStatus | None, asked: Asked) -> str:
    number = last.run + 1 if last else 1
    if state.project(project).paused:
        return f"the project is paused: run {number} ({asked.stage}) starts after winslow resume {project}"
    if last and last.phase in OPEN and not asked.abort:
        told = f"run {last.run} ({last.stage}) is still going: {asked.stage} starts once that has succeeded"
        return f"{told} (to start at once, ask again with --abort)"
    return f"run {number} ({asked.stage}) starts"


def _identity(
    state: State, project: str, status: ProjectStatus | None, fields: dict[str, object], *, abort: bool
) -> dict[str, str]:
    """An id where the nodes say that the same request was spent already, or will be by the abort that joins it."""
    if status is None:
        return {}
    wanted = (fields["stage"], fields.get("after"))
    offered = _request_in(status.waiting_for.edit if status.waiting_for else None)
    if offered and (offered["stage"], offered.get("after")) == wanted:
        return {"id": str(offered["id"])} if "id" in offered else {}
    current = state.project(project).next
    stale = any(condition.type == "RequestStale" for condition in status.conditions)
    if current and (stale or abort) and (current.stage, current.after) == wanted:
        return {"id": _another(current.id)}
    return {}


def _another(identity: str | None) -> str:
    """again, again-2, again-3 ... as ``core.requests`` counts them."""
    number = re.fullmatch(r"again(?:-(\d+))?", identity or "")
    return f"again-{int(number[1] or 1) + 1}" if number else "again"


def check_stage(state: State, project: str, stage: str) -> None:
    pipeline = state.pipeline(project)
    known = [one.name for one in pipeline.stages]
    if stage not in known:
        near = difflib.get_close_matches(stage, known, n=1)
        hint = f"; did you mean '{near[0]}'? Its" if near else "; its"
        raise BadInput(f"pipeline '{pipeline.id}' has no stage '{stage}'{hint} stages are {', '.join(known)}")


def _check_base(project: str, status: ProjectStatus | None, base: int | None) -> None:
    ended = [run.run for run in status.runs if run.phase not in OPEN] if status else []
    if base is not None and base not in ended:
        known = f"the ended ones are {', '.join(map(str, ended))}" if ended else "none has ended yet"
        raise BadInput(f"'{project}' has no run {base} whose workspace could be used; {known}")


def _last(status: ProjectStatus | None) -> RunStatus | None:
    return max(status.runs, key=lambda run: run.run, default=None) if status else None


def _going(project: str, status: ProjectStatus | None, number: int | None) -> RunStatus:
    last = _last(status)
    if last is None:
        raise BadInput(f"nothing ran yet in '{project}', as far as the nodes have reported; nothing to abort")
    if last.phase not in OPEN or number not in (None, last.run):
        asked = f"run {number} is not going" if number else "no run is going"
        raise BadInput(f"{asked} in '{project}': the last one is run {last.run} ({last.stage}), {last.phase}")
    return last


def _request_in(line: str | None) -> dict[str, object] | None:
    """The ``next`` that a line to paste asks for."""
    data = compose(line.encode(), "").data if line else None
    found = data.get("next") if isinstance(data, dict) else None
    return found if isinstance(found, dict) and "stage" in found else None


def _instead(project: str, status: ProjectStatus) -> str:
    reason = status.waiting_for.reason if status.waiting_for else ""
    if reason == "EnvironmentMissing":
        return f"; write winslow set {project} NAME=VALUE"
    return "; it starts by itself" if status.phase is ProjectPhase.QUEUED else ""


def _after(run: object) -> str:
    return f" after run {run}" if run else ""


def _seen(project: str, follows: str) -> str:
    return f"once the nodes have seen it: {follows}; see winslow status {project}"
