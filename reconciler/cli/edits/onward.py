"""What comes next in a project, as far as its file, a pipeline and what the nodes reported tell it."""

from reconciler.core.desired import Confirm, Pipeline, Project, Stage
from reconciler.core.ledger import RunPhase
from reconciler.core.status import ProjectPhase, ProjectStatus

OPEN = (RunPhase.STARTING, RunPhase.RUNNING)


def onward(
    name: str, project: Project, pipeline: Pipeline, status: ProjectStatus | None, *, resumed: bool = False
) -> str:
    """For a project that is not paused (any more). ``resumed``: just now, so that a gate needs a second resume."""
    still, command = ("still ", f"winslow resume {name} again") if resumed else ("", f"winslow resume {name}")
    last = max(status.runs, key=lambda run: run.run, default=None) if status else None
    if status is None or last is None:
        return _stage(f"it {still}waits", command, pipeline.stages[0] if pipeline.stages else None, ran=False)
    going = f"run {last.run} ({last.stage}) ends as it was started; then " if last.phase in OPEN else ""
    is_stale = any(condition.type == "RequestStale" for condition in status.conditions)
    if project.next is not None and project.next.after == last.run and not is_stale:
        return f"{going}stage '{project.next.stage}' starts, as next asks"
    names = [stage.name for stage in pipeline.stages]
    if last.stage not in names:
        return (
            f"{going}it waits: its stage '{last.stage}' is not in '{pipeline.id}', so say where to go on: "
            f"winslow goto {name} STAGE"
        )
    if not going and last.phase is not RunPhase.SUCCEEDED:
        return f"it {still}waits after run {last.run} ({last.stage}), {last.phase}; {command} starts its stage anew"
    later = pipeline.stages[names.index(last.stage) + 1 :]
    if later and status.phase is ProjectPhase.SUCCEEDED:
        return f"it is finished and stays so; to go on: winslow goto {name} {later[0].name}"
    following = later[0] if later else None
    ran = following is not None and any(run.stage == following.name for run in status.runs)
    return going + _stage(f"it {still}waits", command, following, ran=ran)


def _stage(waits: str, command: str, stage: Stage | None, *, ran: bool) -> str:
    if stage is None:
        return "the project is finished"
    if stage.confirm is Confirm.BEFORE or (stage.confirm is Confirm.ONCE and not ran):
        return f"{waits} for stage '{stage.name}'; {command} confirms it"
    return f"stage '{stage.name}' starts"
