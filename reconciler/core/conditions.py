"""Conditions: facts about a project or the site that a machine can match and a person can act on."""

from collections.abc import Mapping, Sequence

from reconciler.core.decide import Wait, request_conditions, request_line
from reconciler.core.desired import Desired, Pipeline, Project, Stage
from reconciler.core.environment import Setting, run_environment
from reconciler.core.ledger import ProjectHistory, Run, RunPhase
from reconciler.core.names import ProjectName
from reconciler.core.nodes import Node
from reconciler.core.problems import Severity
from reconciler.core.status import Condition, ProjectPhase


def project_conditions(
    desired: Desired, project: Project, history: ProjectHistory, wait: Wait
) -> tuple[Condition, ...]:
    """All that is worth saying about a project beside its phase."""
    files = [one for one in _files(desired, project) if one.message != wait.message]
    found = [*files, *request_conditions(project, history)]
    if wait.reason == "StagesAdded":
        found.append(condition("StagesAdded", wait.message + (f"; to run it: {wait.edit}" if wait.edit else "")))
    at_rest = wait.phase not in (ProjectPhase.RUNNING, ProjectPhase.QUEUED)
    if at_rest and (changed := _environment_changed(desired, project, history)):
        found.append(changed)
    return tuple(found)


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


def start_faults(desired: Desired, nodes: Sequence[Node], project: ProjectName) -> tuple[Condition, ...]:
    """What may pass, and keeps a stage of the project from starting on living nodes."""
    live = [node for node in nodes if node.is_live(desired.site.ttl.total_seconds())]
    faults = dict.fromkeys(node.faults[project] for node in live if project in node.faults)
    return tuple(condition("StartFaulty", fault) for fault in faults)


def condition(kind: str, message: str) -> Condition:
    return Condition(type=kind, status="True", reason=kind, message=message)


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
    """An environment change alone starts nothing; say which line would."""
    pipeline = desired.pipelines.get(project.pipeline)
    last = history.last_run
    if pipeline is None or last is None:
        return None
    for stage in pipeline.stages:
        run = next((run for run in reversed(history.runs) if run.stage == stage.name), None)
        if run is not None and run.phase is RunPhase.SUCCEEDED and _differs(desired, pipeline, stage, project, run):
            line = request_line(stage.name, history)
            return condition(
                "EnvironmentChanged", f"stage '{stage.name}' ran with another environment; to run it again: {line}"
            )
    return None


def _differs(desired: Desired, pipeline: Pipeline, stage: Stage, project: Project, run: Run) -> bool:
    asked = {name for name, setting in run.created.environment.items() if setting.source.endswith(" next")}
    return _values(run_environment(desired, pipeline, stage, project, None), asked) != _values(
        run.created.environment, asked
    )


def _values(environment: Mapping[str, Setting], without: set[str]) -> dict[str, object]:
    return {name: setting.value for name, setting in environment.items() if name not in without}
