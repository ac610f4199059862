"""``plan`` of one moment: who creates a run, what is recorded first, who publishes outputs."""

from dataclasses import replace

from reconciler.core.actions import CreateRun, PublishOutput, PublishProject, PublishRun
from reconciler.core.desired import Desired, Gpus, NodePolicy, Requires
from reconciler.core.draft import Plan
from reconciler.core.ledger import Ledger, ProjectHistory
from reconciler.core.names import Blob, Commit, RunNumber
from reconciler.core.nodes import Node
from reconciler.core.plan import plan
from reconciler.core.records import Aborted, DesiredSeen
from reconciler.core.start import RANK_DELAY
from tests.fakes.build import (
    BOOT,
    COMMIT,
    CROSSING,
    SHARE,
    A,
    a_claim,
    a_desired,
    a_gpu,
    a_history,
    a_ledger,
    a_next,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    done,
    me,
)
from tests.fakes.world import World

# --- who creates a run ---


def creators(desired: Desired, ledger: Ledger, found: tuple[Node, ...], age: float) -> list[str]:
    created: list[str] = []
    for node in found:
        first = plan(desired, ledger, found, me(node.name))
        since = dict.fromkeys(first.situations, 1000.0 - age)
        todo = plan(desired, ledger, found, me(node.name, since=since))
        created += [node.name for action in todo.actions if isinstance(action, CreateRun)]
    return created


def test_of_several_nodes_with_the_same_view_one_creates_a_run_at_once() -> None:
    found = (a_node("a"), a_node("b"), a_node("c"))
    assert len(creators(a_desired(), a_ledger(), found, 0.0)) == 1
    assert len(creators(a_desired(), a_ledger(), found, RANK_DELAY)) == 2
    assert len(creators(a_desired(), a_ledger(), found, 2 * RANK_DELAY)) == 3


def test_a_node_that_waits_for_its_rank_wakes_when_it_has_come() -> None:
    found = (a_node("a"), a_node("b"))
    plans = [plan(a_desired(), a_ledger(), found, me(name)) for name in ("a", "b")]
    assert sorted(todo.wake_at or 0.0 for todo in plans) == [0.0, 1000.0 + RANK_DELAY]
    waiting = next(todo.waiting[CROSSING] for todo in plans if todo.waiting)
    assert waiting.because == "NodeChosen"


def test_equal_projects_spread_over_equal_nodes() -> None:
    found = (a_node("a"), a_node("b"))
    wanted = [a_project(f"flight-{number:02d}") for number in range(16)]
    ledger = Ledger(share=SHARE, projects={p.id: a_history(seen=(a_seen(),)) for p in wanted})
    desired = a_desired(*wanted, pipeline=a_pipeline(a_stage(requires=Requires(cpus=0.0))))
    created = creators(desired, ledger, found, 0.0)
    assert len(created) == 16
    assert 3 <= created.count("a") <= 13


def test_the_more_important_project_takes_the_only_place() -> None:
    wanted = a_project("crossing"), a_project("ulm", priority=5)
    ledger = Ledger(share=SHARE, projects={p.id: a_history(seen=(a_seen(),)) for p in wanted})
    todo = plan(a_desired(*wanted), ledger, (a_node("a", cpus=1.0),), me())
    assert [action.project for action in todo.actions] == ["ulm"]
    assert todo.waiting[CROSSING].because == "NoNodeFree"


def test_a_node_with_one_gpu_gives_it_to_its_claim() -> None:
    """The claim's own reservation must not hide the device from the claim."""
    stage = a_stage(requires=Requires(gpus=Gpus(count=1)))
    todo = plan(a_desired(pipeline=a_pipeline(stage)), a_ledger(), (a_node("a", gpus=(a_gpu("gpu-1"),)),), me())
    [action] = todo.actions
    assert isinstance(action, CreateRun)
    assert action.claim.gpus == ("gpu-1",)


# --- the recorded desired state ---


def test_a_changed_file_is_recorded_before_anything_starts() -> None:
    todo = plan(a_desired(), Ledger(share=SHARE), (a_node("a"),), me())
    [action] = todo.actions
    assert isinstance(action, PublishProject)
    assert isinstance(action.record, DesiredSeen)
    assert (action.record.commit, action.record.blob) == (COMMIT, a_project().blob)


def test_a_node_that_lacks_the_recorded_commit_waits() -> None:
    ledger = a_ledger(seen=a_seen(commit=Commit("newer")))
    todo = plan(a_desired(), ledger, (a_node("a"),), me())
    assert not todo.actions
    assert todo.waiting[CROSSING].because == "SourceBehind"


def test_a_frozen_nodes_old_view_neither_unpauses_nor_aborts() -> None:
    """It still reads ``abort: 1`` in the commit it knows; people have withdrawn that in a newer one."""
    run = a_run(1, "detect", a_claim(1, "b"))
    withdrawn = ProjectHistory(records=(a_seen(), run.created, a_seen(3, commit=Commit("newer"))), runs=(run,))
    ledger = Ledger(share=SHARE, projects={CROSSING: withdrawn})
    todo = plan(a_desired(a_project(abort=RunNumber(1))), ledger, (a_node("a"), a_node("b")), me())
    assert not todo.actions


def test_an_abort_is_recorded_first_and_then_obeyed_by_anybody() -> None:
    run = a_run(1, "detect", a_claim(1, "b"))
    world = World(a_desired(a_project(abort=RunNumber(1), blob=Blob("new"))), (a_node("a"),), a_ledger(run))
    first = world.plan(A)
    assert [type(action) for action in first.actions] == [PublishProject]
    world.carry_out(A, first.actions)
    [action] = world.plan(A).actions
    assert isinstance(action, PublishRun)
    assert isinstance(action.record, Aborted)


def test_a_request_is_recorded_together_with_the_run_it_was_made_during() -> None:
    project = a_project(next=a_next("detect", 1), blob=Blob("new"))
    todo = plan(a_desired(project), a_ledger(a_run(1, "detect", a_claim(1, "b"))), (a_node("a"), a_node("b")), me())
    [action] = todo.actions
    assert isinstance(action, PublishProject)
    assert isinstance(action.record, DesiredSeen)
    assert action.record.open_run == 1


def test_a_project_whose_records_cannot_be_read_is_left_alone_and_the_others_go_on() -> None:
    ledger = replace(a_ledger(project="ulm"), unreadable={CROSSING: "records/00000002.json: torn"})
    todo = plan(a_desired(a_project(), a_project("ulm")), ledger, (a_node("a"),), me())
    assert [action.project for action in todo.actions] == ["ulm"]
    assert todo.waiting[CROSSING].message == "records/00000002.json: torn"


# --- outputs ---


def outputs(todo: Plan) -> list[PublishOutput]:
    return [action for action in todo.actions if isinstance(action, PublishOutput)]


def test_the_claimant_publishes_a_succeeded_runs_output() -> None:
    ledger = a_ledger(a_run(1, "detect", a_claim(), done()))
    found = (a_node("a"), a_node("b"))
    assert outputs(plan(a_desired(), ledger, found, me("a")))
    assert not outputs(plan(a_desired(), ledger, found, me("b")))


def test_the_output_of_a_dead_claimant_is_published_by_another_node() -> None:
    ledger = a_ledger(a_run(1, "detect", a_claim(), done()))
    found = (a_node("a", silent_for=61.0), a_node("b"))
    assert outputs(plan(a_desired(), ledger, found, me("b")))


def test_limits_in_git_bind_at_once() -> None:
    desired = replace(a_desired(), nodes={A: NodePolicy(drained=True)})
    todo = plan(desired, a_ledger(), (a_node("a"), a_node("b")), me("b"))
    assert [type(action) for action in todo.actions] == [CreateRun]
    waiting = plan(desired, a_ledger(), (a_node("a"),), me("a")).waiting[CROSSING]
    assert waiting.message == "stage 'detect' waits for a node (a: drained (nodes/a.yaml))"
    assert me().boot == BOOT
