"""What must hold once all faults are over and enough time has passed: everything that can go on has come to its end."""

from collections.abc import Callable, Sequence

from reconciler.codec.observed import unfold
from reconciler.core.decide import RunOpen, StartStage, decide
from reconciler.core.ledger import RunPhase
from reconciler.core.ledger_behind import missing
from reconciler.core.names import ProjectName
from tests.simulation.facts import Facts, Violation
from tests.simulation.git import Files, noted_of
from tests.simulation.machine import Machine


def every_node_takes_part(facts: Facts, observed: Sequence[Files]) -> None:
    """Its reconciler runs and has found something to plan with."""
    for machine in _originals(facts):
        agent = machine.reconciler.agent if machine.reconciler else None
        _holds(agent is not None and agent.last_tick is not None, f"{machine.name} takes no part")


def what_is_asked_is_recorded_and_done(facts: Facts, observed: Sequence[Files]) -> None:
    """No run is open, no stage could start, no deletion or request is still to be recorded."""
    for name in sorted({*facts.git.head.projects, *facts.projects}):
        project, history = facts.git.head.projects.get(ProjectName(name)), facts.history(ProjectName(name))
        last = history.last_run
        _holds(
            last is None or last.is_final, f"run {last and last.number} of {name} is still open: {last and last.last}"
        )
        if project is None:
            _holds(history.is_deleted or _is_held(facts), f"{name} is gone from git, and nobody recorded it")
            continue
        decision = decide(facts.git.head, project, history)
        _holds(not isinstance(decision, StartStage | RunOpen), f"{name} could go on: {decision}")
        _holds(not history.is_deleted, f"{name} is back in git, and nobody recorded it")


def _is_held(facts: Facts) -> bool:
    """So many files went at once that nothing is deleted without a person's word."""
    live = [name for name, history in facts.projects.items() if not history.is_deleted]
    return sum(name not in facts.git.head.projects for name in live) >= 2


def no_container_is_left(facts: Facts, observed: Sequence[Files]) -> None:
    """All have ended, the superseded ones too, and are removed."""
    for machine in facts.machines:
        left = [key.slug for key in machine.engine.running] if machine.is_on else []
        _holds(not left, f"{machine.name} still has {left}")


def no_condition_is_left(facts: Facts, observed: Sequence[Files]) -> None:
    """Nobody complains of what is over."""
    for machine in _originals(facts):
        agent = machine.reconciler.agent if machine.reconciler else None
        told = [f"{one.type}: {one.message}" for one in agent.conditions()] if agent else []
        _holds(not told, f"{machine.name} still says {told}")


def observed_tells_how_it_ended(facts: Facts, observed: Sequence[Files]) -> None:
    """The branch names every run with the phase that its last record says."""
    status = unfold(observed[-1]) if observed else None
    told = {
        (project.project, run.run): run.phase for project in (status.projects if status else ()) for run in project.runs
    }
    for name, history in facts.projects.items():
        for run in history.runs:
            _holds(
                told.get((name, run.number)) == run.phase,
                f"observed says {told.get((name, run.number))} of run {run.number} of {name}, not {run.phase}",
            )


def outputs_are_published(facts: Facts, observed: Sequence[Files]) -> None:
    """Of every run that succeeded, where people look for it."""
    for name, history in facts.projects.items():
        for run in history.runs:
            if run.phase is RunPhase.SUCCEEDED and not history.is_deleted:
                place = f"projects/{name}/output/{run.number:04d}-{run.stage}"
                _holds(place in facts.outputs, f"{place} is missing")


def the_loss_is_told(facts: Facts, observed: Sequence[Files]) -> None:
    """If the share lacks what the branch tells of, every node that starts says so; then nobody claims or publishes."""
    told = [found for path, text in (observed[-1] if observed else {}).items() if (found := noted_of(path, text))]
    if not missing(facts.ledger(), told):
        return
    for machine in _originals(facts):
        agent = machine.reconciler.agent if machine.reconciler else None
        types = [one.type for one in agent.conditions()] if agent else []
        _holds("LedgerBehind" in types, f"{machine.name} does not tell that the share lost records, but {types}")


def _originals(facts: Facts) -> list[Machine]:
    return [machine for machine in facts.machines if machine.name == machine.node]


def _holds(condition: object, what: str) -> None:
    if not condition:
        raise Violation(what)


AT_REST: tuple[Callable[[Facts, Sequence[Files]], None], ...] = (
    every_node_takes_part,
    what_is_asked_is_recorded_and_done,
    no_container_is_left,
    outputs_are_published,
    observed_tells_how_it_ended,
    no_condition_is_left,
)
AT_REST_FOR_NOW = (every_node_takes_part, the_loss_is_told)
"""After a server without ``sync`` restarted."""
