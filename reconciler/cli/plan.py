"""``winslow plan``: what each project would do next, without doing it."""

from collections.abc import Iterator, Mapping

from reconciler.cli.options import ConfigOption, Output, OutputOption, live_reader
from reconciler.cli.output import out, print_json, text
from reconciler.core.decide import RunOpen, StartStage, Wait, decide, records_unreadable
from reconciler.core.desired import Confirm, Project, Then
from reconciler.core.ledger import Run
from reconciler.core.lifecycle import absent, known_projects, unconfirmed
from reconciler.core.names import ProjectName
from reconciler.core.report import explain
from reconciler.readers.live import Snapshot

Decision = Mapping[str, object]


def plan(config: ConfigOption = None, output: OutputOption = Output.TEXT) -> None:
    """Show what is next in every project."""
    decisions = list(_decisions(live_reader(config).snapshot()))
    if output is Output.JSON:
        print_json(decisions)
        return
    for decision in decisions:
        out().print(text(f"{decision['project']}: {decision['action']}: {decision['message']}"))
    if not decisions:
        out().print("no projects yet: nothing to do")


def _decisions(seen: Snapshot) -> Iterator[Decision]:
    held = unconfirmed(seen.desired, seen.ledger)
    for name in sorted(known_projects(seen.desired, seen.ledger)):
        project = seen.desired.projects.get(name)
        if project is not None:
            yield _decision(seen, project)
        else:
            gone = _gone(seen, name, held)
            yield {"project": name, "action": "wait", "reason": gone.reason, "message": gone.message}


def _gone(seen: Snapshot, name: ProjectName, held: frozenset[ProjectName]) -> Wait:
    """A project without a file."""
    if name in seen.ledger.unreadable:
        return records_unreadable(seen.ledger.unreadable[name])
    return absent(seen.desired, seen.ledger, name, held)


def _decision(seen: Snapshot, project: Project) -> Decision:
    history = seen.ledger.history(project.id)
    wait, nodes = explain(seen.desired, seen.ledger, seen.nodes, project)
    decided: dict[str, object] = {
        "project": project.id,
        "action": "wait",
        "reason": wait.reason,
        "message": wait.message,
    }
    match decide(seen.desired, project, history):
        case StartStage(stage=stage):
            chosen = next((node for node, answer in nodes.items() if answer == "rank 0"), None)
            decided |= {"stage": stage.name, "node": chosen}
            if chosen is not None:
                told = f"run {history.next_run} ({stage.name}) on {chosen}"
                decided |= {"action": "start", "reason": "Starting", "message": told}
        case RunOpen(run=run):
            told = f"{wait.message}; {_afterwards(seen, project, run)}"
            node = run.claim.node if run.claim else None
            decided |= {"action": "run", "stage": run.stage, "node": node, "message": told}
    return decided


def _afterwards(seen: Snapshot, project: Project, run: Run) -> str:
    """What comes once this run has succeeded, as far as the files say it now."""
    pipeline = seen.desired.pipelines.get(project.pipeline)
    names = [stage.name for stage in pipeline.stages] if pipeline else []
    if project.next is not None and project.next.after == run.number and not project.paused:
        return f"then stage '{project.next.stage}', as next asks"
    if project.paused or run.created.then is Then.PAUSE:
        return "then it pauses"
    if pipeline is None or run.stage not in names:
        return "then somebody must say where to go on"
    following = pipeline.stages[names.index(run.stage) + 1 :]
    if not following or run.created.is_last:
        return "then the project is finished"
    stage = following[0]
    ran_before = any(one.stage == stage.name for one in seen.ledger.history(project.id).runs)
    asks = stage.confirm is Confirm.BEFORE or (stage.confirm is Confirm.ONCE and not ran_before)
    return f"then stage '{stage.name}'" + (", once somebody asks for it" if asks else "")
