"""Conditions: facts about a project or the site that a machine can match and a person can act on."""

from collections.abc import Mapping, Sequence

from reconciler.core.decide import Wait
from reconciler.core.desired import Desired, Pipeline, Project, Stage
from reconciler.core.environment import Setting, run_environment
from reconciler.core.ledger import ProjectHistory, Run, RunPhase
from reconciler.core.names import ProjectName
from reconciler.core.nodes import Node, Remark
from reconciler.core.problems import Severity
from reconciler.core.requests import abort_conditions, request_conditions, request_line
from reconciler.core.status import Condition, ProjectPhase, condition
from reconciler.core.takeover import PATIENCE, Standing, standing, ttl_of


def project_conditions(
    desired: Desired, project: Project, history: ProjectHistory, wait: Wait
) -> tuple[Condition, ...]:
    """All that is worth saying about a project beside its phase."""
    files = [one for one in _files(desired, project) if one.message != wait.message]
    found = [*files, *request_conditions(project, history), *abort_conditions(project, history)]
    found += _input_changed(history)
    if wait.reason == "StagesAdded":
        found.append(condition("StagesAdded", wait.message + (f"; to run it: {wait.edit}" if wait.edit else "")))
    if wait.phase is ProjectPhase.SUCCEEDED and (changed := _environment_changed(desired, project, history)):
        found.append(changed)
    return tuple(found)


def _input_changed(history: ProjectHistory) -> tuple[Condition, ...]:
    """What the last run saw is not what lies there now, nor quite what lay there when it began."""
    last = history.last_run
    blurred = [one.path for one in last.outcome.inputs if one.changed] if last and last.outcome else []
    if last is None or not blurred:
        return ()
    message = f"{', '.join(blurred[:3])} changed while run {last.number} ({last.stage}) read it"
    return (condition("InputChanged", f"{message}; to run it again: {request_line(last.stage, history)}"),)


def site_conditions(desired: Desired) -> tuple[Condition, ...]:
    """Every problem in the repository's files, one condition each."""
    kinds = {Severity.ERROR: "FileBroken", Severity.WARNING: "FileSuspicious"}
    return tuple(condition(kinds[problem.severity], str(problem)) for problem in desired.problems)


def node_conditions(desired: Desired, nodes: Sequence[Node], told: Sequence[Condition] = ()) -> tuple[Condition, ...]:
    """What living nodes say keeps them from working as they should; what was told already is not said again."""
    known = {one.message for one in told}
    found = []
    for node in nodes:
        kinds = {message: kind for kind, message in sorted(node.conditions.items()) if message not in known}
        if node.is_live(desired.site.ttl.total_seconds()):
            found += [condition(kind, f"node {node.name}: {message}") for message, kind in kinds.items()]
    return tuple(found)


def owner_silent(desired: Desired, nodes: Sequence[Node], history: ProjectHistory) -> tuple[Condition, ...]:
    """The node that runs the project's stage gives no sign of life."""
    last, site = history.last_run, desired.site
    claim = last.claim if last else None
    owner = next((node for node in nodes if claim is not None and node.name == claim.node), None)
    if last is None or claim is None or owner is None:
        return ()
    ttl = ttl_of(last, site)
    if owner.is_live(ttl):
        return ()
    longest = f"after {PATIENCE * ttl / 60:g} minutes of silence"
    match standing(owner, claim, ttl=ttl, period=site.heartbeat.total_seconds()):
        case Standing.LIVES:
            return ()
        case Standing.ANSWERS:
            message = (
                f"the heartbeat of node {owner.name} stands still, but it answers that it runs run {last.number}; "
                f"another node takes over once it no longer does, at the latest {longest}"
            )
            return (condition("OwnerAnswers", message),)
    unless = f", unless it answers at {owner.record.health}: then at the latest {longest}"
    again = f"run {last.number} is started again on the next node that fits"
    known = owner.record.health == "" or owner.inquiry is not None
    return (condition("NodeSilent", f"node {owner.name} gives no sign of life; {again}{'' if known else unless}"),)


def remark_on(nodes: Sequence[Node], project: ProjectName, run: Run | None) -> Remark | None:
    """What the claimant of the project's open run says of it."""
    claim = run.claim if run else None
    owner = next((node for node in nodes if claim is not None and node.name == claim.node), None)
    return owner.remarks.get(project) if owner else None


def remarks(nodes: Sequence[Node], project: ProjectName, history: ProjectHistory) -> tuple[Condition, ...]:
    found = remark_on(nodes, project, history.last_run)
    return (condition(found.reason, found.message),) if found else ()


def unknown_nodes(desired: Desired, nodes: Sequence[Node]) -> tuple[Condition, ...]:
    """Files about nodes that never joined: most often a misspelt name."""
    names = sorted(node.name for node in nodes)
    unknown = sorted(set(desired.nodes) - set(names)) if names else []
    return tuple(
        condition("NodeUnknown", f"nodes/{name}.yaml: no node of that name has joined; there are: {', '.join(names)}")
        for name in unknown
    )


def start_faults(desired: Desired, nodes: Sequence[Node], project: ProjectName) -> tuple[Condition, ...]:
    """What may pass, and keeps a stage of the project from starting on living nodes."""
    live = [node for node in nodes if node.is_live(desired.site.ttl.total_seconds())]
    faults = dict.fromkeys(node.faults[project] for node in live if project in node.faults)
    return tuple(condition("StartFaulty", fault) for fault in faults)


def _files(desired: Desired, project: Project) -> list[Condition]:
    """The project's or its pipeline's file is broken: its last good version goes on, if its shape is wrong."""
    pipeline = desired.pipelines.get(project.pipeline)
    found = []
    for path in (project.path, pipeline.path if pipeline else ""):
        if path in desired.stale:
            commit = desired.stale[path][:10]
            says = next((str(problem) for problem in desired.problems if problem.file == path), path)
            found.append(condition("FileBroken", f"{says} (the version of commit {commit} goes on)"))
        else:
            own = (one for one in desired.problems if one.file == path and one.severity is Severity.ERROR)
            found += [condition("FileBroken", str(problem)) for problem in own]
    return found


def _environment_changed(desired: Desired, project: Project, history: ProjectHistory) -> Condition | None:
    """An environment change alone starts nothing; the line that runs the stage again."""
    found = changed_environment(desired, project, history)
    if found is None:
        return None
    run, names = found
    return condition(
        "EnvironmentChanged",
        f"{', '.join(names)} changed since run {run.number} ({run.stage}); to run it again: "
        + request_line(run.stage, history),
    )


def changed_environment(desired: Desired, project: Project, history: ProjectHistory) -> tuple[Run, list[str]] | None:
    """The newest success of the first stage that would now run with other variables, and their names.

    Later stages are not named: run again alone they would mix new settings with old inputs.
    """
    pipeline = desired.pipelines.get(project.pipeline)
    for stage in pipeline.stages if pipeline else ():
        done = (run for run in reversed(history.runs) if run.stage == stage.name and run.phase is RunPhase.SUCCEEDED)
        run = next(done, None)
        if pipeline is not None and run is not None and (names := _changed(desired, pipeline, stage, project, run)):
            return run, names
    return None


def _changed(desired: Desired, pipeline: Pipeline, stage: Stage, project: Project, run: Run) -> list[str]:
    """Variables that would differ now. What the run's own request set does not count."""
    now, then = run_environment(desired, pipeline, stage, project, None), run.created.environment
    asked = {name for name, setting in then.items() if setting.source.endswith(" next")}
    return sorted(name for name in {*now, *then} - asked if _value(now, name) != _value(then, name))


def _value(environment: Mapping[str, Setting], name: str) -> object:
    return environment[name].value if name in environment else None
