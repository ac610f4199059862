"""How runs of one project differ: what was changed between them, and what is older than what it rests on."""

from collections.abc import Sequence

from reconciler.core.names import RunNumber
from reconciler.core.status import ProjectStatus, RunStatus, StageState, StageStatus


def outdated_by(project: ProjectStatus, stage: StageStatus) -> RunNumber | None:
    """The newest run of an earlier stage, if this stage has not run since. What is about to run is not outdated."""
    if stage.run is None or stage.state is StageState.PAUSED:
        return None
    earlier = project.stages[: project.stages.index(stage)]
    newest = max((one.run for one in earlier if one.run is not None), default=stage.run)
    return newest if newest > stage.run else None


def changed_environment(project: ProjectStatus, run: RunStatus) -> Sequence[tuple[str, str | None, str | None]]:
    """Names with the value before and now (None: not set), compared with the previous run of the same stage."""
    previous = [one for one in project.runs if one.stage == run.stage and one.run < run.run]
    if not previous:
        return ()
    before, now = max(previous, key=lambda one: one.run).environment, run.environment
    names = sorted(before.keys() | now.keys())
    return [(name, before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)]
