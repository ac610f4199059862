"""``plan`` over whole worlds: nothing is forgotten, nothing runs twice, every prefix leads to the same end."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.actions import CreateRun, PublishOutput, PublishProject, PublishRun, StartContainer
from reconciler.core.containers import ContainerState
from reconciler.core.desired import Desired, Gpus, NodePolicy, Project, Requires
from reconciler.core.draft import Plan
from reconciler.core.ledger import Aborted, Claim, DesiredSeen, Ledger, Run, RunRecord
from reconciler.core.names import Blob, Commit, ProjectName, RunNumber
from reconciler.core.nodes import Node
from reconciler.core.placement import Used, claims_of, usage
from reconciler.core.plan import plan
from reconciler.core.start import RANK_DELAY
from reconciler.core.status import ProjectPhase
from tests.fakes.build import (
    BOOT,
    COMMIT,
    CROSSING,
    GIB,
    SHARE,
    A,
    B,
    a_claim,
    a_container,
    a_created,
    a_desired,
    a_gpu,
    a_history,
    a_key,
    a_ledger,
    a_next,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    aborted,
    done,
    failed,
    lost,
    me,
    released,
)
from tests.fakes.world import World

NAMES = ["crossing", "ulm", "zoo"]
AGED = {f"claim flight-{number}/1/1": 0.0 for number in range(6)}  # met long ago: no rank keeps anybody waiting


# --- random worlds ---

ENDINGS: list[tuple[RunRecord, ...]] = [
    (),
    (a_claim(),),
    (a_claim(1, "b"),),
    (a_claim(1, "gone"),),
    (a_claim(1, "a", boot="an earlier boot"),),
    (a_claim(), done()),
    (a_claim(), failed()),
    (a_claim(), failed(final=False)),
    (a_claim(), released()),
    (a_claim(1, "b"), released(2, "b", counts=False)),
    (a_claim(), aborted()),
    (a_claim(), lost()),
    (a_claim(1, "b"), a_claim(2, "a")),
    (a_claim(), released(), a_claim(3, "b"), failed(4, "b", final=False)),
]


@st.composite
def runs(draw: st.DrawFn) -> tuple[Run, ...]:
    """Only the last run of a project may be open."""
    made = []
    for number in range(1, draw(st.integers(0, 3)) + 1):
        records = draw(st.sampled_from(ENDINGS))
        run = Run(
            created=a_created(
                number,
                draw(st.sampled_from(["detect", "track", "report", "gone"])),
                number=number + 1,
                is_last=draw(st.booleans()),
                timeout=draw(st.sampled_from([None, 5.0])),
                requires=draw(requirements()),
            ),
            records=records,
            output_published=draw(st.booleans()),
        )
        made.append(run)
        if not run.is_final:
            break
    return tuple(made)


@st.composite
def requirements(draw: st.DrawFn) -> Requires:
    return Requires(
        cpus=draw(st.sampled_from([0.5, 2.0, 6.0, 64.0])),
        memory=draw(st.sampled_from([0, 8 * GIB])),
        gpus=Gpus(count=draw(st.integers(0, 2))),
    )


@st.composite
def projects(draw: st.DrawFn, name: str) -> Project:
    request = draw(
        st.none()
        | st.builds(
            a_next,
            st.sampled_from(["detect", "track", "nowhere"]),
            st.sampled_from([None, 1, 2, 3]),
            base=st.sampled_from([None, RunNumber(1), RunNumber(9)]),
        )
    )
    return a_project(
        name,
        next=request,
        paused=draw(st.booleans()),
        abort=draw(st.sampled_from([None, RunNumber(1), RunNumber(2)])),
        priority=draw(st.integers(0, 2)),
        blob=draw(st.sampled_from([a_project().blob, Blob("changed")])),
    )


@st.composite
def nodes(draw: st.DrawFn) -> tuple[Node, ...]:
    return tuple(
        a_node(
            name,
            cpus=draw(st.sampled_from([4.0, 8.0])),
            gpus=tuple(a_gpu(f"{name}-gpu-{index}") for index in range(draw(st.integers(0, 2)))),
            silent_for=draw(st.sampled_from([0.0, 30.0, 61.0])) if name != "a" else 0.0,
        )
        for name in draw(st.sampled_from([(), ("a",), ("a", "b"), ("a", "b", "c")]))
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Desired, Ledger, tuple[Node, ...]]:
    pipeline = a_pipeline(*(a_stage(name, requires=draw(requirements())) for name in ("detect", "track", "report")))
    wanted = [draw(projects(name)) for name in draw(st.sampled_from([NAMES[:1], NAMES[:2], NAMES]))]
    histories = {}
    for name in draw(st.sampled_from([[], NAMES[:1], NAMES])):
        commit = draw(st.sampled_from([COMMIT, Commit("unknown")]))
        histories[ProjectName(name)] = a_history(*draw(runs()), seen=(a_seen(commit=commit),))
    desired = a_desired(*wanted, pipeline=pipeline)
    return desired, Ledger(share=SHARE, projects=histories), draw(nodes())


def containers_of(ledger: Ledger) -> list[tuple[ProjectName, Run, Claim]]:
    return [
        (name, run, record)
        for name, history in ledger.projects.items()
        for run in history.runs
        for record in run.records
        if isinstance(record, Claim)
    ]


@given(worlds(), st.data())
@settings(max_examples=80, deadline=None)
def test_every_project_ends_in_an_action_or_in_waiting_and_nothing_ever_raises(
    world: tuple[Desired, Ledger, tuple[Node, ...]], data: st.DataObject
) -> None:
    desired, ledger, found = world
    containers = tuple(
        a_container(a_key(run, name, claim), data.draw(st.sampled_from(ContainerState)))
        for name, run, claim in containers_of(ledger)
        if data.draw(st.booleans())
    )
    keys = frozenset(container.key for container in containers if data.draw(st.booleans()))
    logged = frozenset(key for key in keys if data.draw(st.booleans()))
    todo = plan(desired, ledger, found, me(containers=containers, followed=keys, logged=logged))
    accounted = {action.project for action in todo.actions} | set(todo.waiting)
    assert accounted >= set(desired.projects) | set(ledger.projects)
    for waiting in todo.waiting.values():
        assert waiting.message
        assert waiting.because[0].isupper()


@given(requirements(), nodes(), st.integers(2, 6))
@settings(max_examples=80, deadline=None)
def test_a_plans_own_actions_never_oversubscribe_its_node(
    requires: Requires, found: tuple[Node, ...], wanted: int
) -> None:
    made = [a_project(f"flight-{number}") for number in range(wanted)]
    ledger = Ledger(share=SHARE, projects={project.id: a_history(seen=(a_seen(),)) for project in made})
    desired = a_desired(*made, pipeline=a_pipeline(a_stage(requires=requires)))
    todo = plan(desired, ledger, found, me(since=AGED))
    claims = [action for action in todo.actions if isinstance(action, CreateRun)]
    if not claims:
        return
    capacity = next(node.record.capacity for node in found if node.name == A)
    devices = [device for action in claims for device in action.claim.gpus]
    assert len(claims) * requires.cpus <= capacity.cpus
    assert len(claims) * requires.memory <= capacity.memory
    assert len(devices) == len(set(devices)), "one device, two claims"
    assert set(devices) <= {gpu.uuid for gpu in capacity.gpus}
    assert len(devices) == len(claims) * requires.gpus.count


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
    assert sorted(waiting.nodes.values()) == ["rank 0", "rank 1"]


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
    ledger = a_ledger(run, seen=a_seen(commit=Commit("newer")))
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


def test_a_deleted_file_stops_nobody_and_starts_nothing() -> None:
    desired = replace(a_desired(), projects={})
    todo = plan(desired, a_ledger(a_run(1, "detect", a_claim())), (a_node("a"),), me())
    assert [type(action) for action in todo.actions] == [StartContainer]
    todo = plan(desired, a_ledger(a_run(1, "detect")), (a_node("a"),), me())
    assert not todo.actions
    assert (todo.waiting[CROSSING].phase, todo.waiting[CROSSING].because) == (ProjectPhase.PAUSED, "FileDeleted")


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


# --- whole lives ---

PIPELINE = a_pipeline(a_stage("detect", requires=Requires(gpus=Gpus(count=1))), "track", "report")


def a_world(found: int, wanted: int) -> World:
    made = [a_project(name) for name in NAMES[:wanted]]
    machines = tuple(a_node(name, gpus=(a_gpu(f"{name}-gpu"),)) for name in ("a", "b", "c")[:found])
    return World(a_desired(*made, pipeline=PIPELINE), machines)


def test_three_projects_on_two_nodes_run_to_their_end_each_stage_once() -> None:
    world = a_world(found=2, wanted=3).settle()
    succeeded = [("detect", "Succeeded"), ("track", "Succeeded"), ("report", "Succeeded")]
    assert world.shape() == dict.fromkeys(NAMES, succeeded)
    assert all(run.attempts == 1 and run.output_published for h in world.ledger.projects.values() for run in h.runs)
    assert not any(machine.containers for machine in world.machines.values())


@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(0, 4), max_size=30))
@settings(max_examples=40, deadline=None)
def test_any_prefix_of_the_actions_leads_to_the_same_end(found: int, wanted: int, prefixes: list[int]) -> None:
    """A node may crash after any action. What is then found leads on to the end that an undisturbed world has."""
    world = a_world(found, wanted)
    for turn, kept in enumerate(prefixes):
        node = world.nodes[turn % found].name
        world.carry_out(node, world.plan(node).actions[:kept])
        world.now += 1.0
        if kept == 0:
            world.run_programs()
    world.settle()
    assert world.shape() == a_world(found, wanted).settle().shape()


@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(0, 2), max_size=40), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_container_starts_only_after_its_claim_and_ends_are_recorded_only_by_the_claimant(
    found: int, wanted: int, ticks: list[int], failing: bool
) -> None:
    world = a_world(found, wanted)
    world.exit_code = lambda container: 1 if failing and container.key.stage == "track" else 0
    for tick in ticks:
        node = world.nodes[tick % found].name
        world.carry_out(node, world.plan(node).actions)
        world.now += 1.0
        world.run_programs()
        for name, machine in world.machines.items():
            for key in machine.containers:
                run = world.ledger.history(key.project).run(key.run)
                assert run is not None
                claim = run.records[key.number - 1]
                assert isinstance(claim, Claim)
                assert (claim.node, claim.token) == (name, key.token)
        check_records(world.ledger)


def check_records(ledger: Ledger) -> None:
    for history in ledger.projects.values():
        for run in history.runs:
            assert [record.number for record in run.records] == list(range(1, len(run.records) + 1))
            for before, after in zip(run.records, run.records[1:], strict=False):
                if type(after).__name__ in {"Done", "Failed", "Released"}:
                    assert isinstance(before, Claim)
                    assert after.node == before.node


def test_the_check_on_records_can_fail() -> None:
    ledger = a_ledger(a_run(1, "detect", a_claim(1, "a"), done(2, "b")))
    try:
        check_records(ledger)
    except AssertionError:
        return
    raise AssertionError("somebody else's DONE went unnoticed")


@given(st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=9, deadline=None)
def test_open_claims_never_hold_more_than_a_node_has(found: int, wanted: int) -> None:
    world = a_world(found, wanted)
    for _ in range(30):
        for node in world.nodes:
            world.carry_out(node.name, world.plan(node.name).actions)
            for machine in world.nodes:
                used = usage(world.ledger).get(machine.name, Used())
                held = [device for _, run in claims_of(world.ledger, machine.name) for device in _devices(run)]
                assert used.cpus <= machine.record.capacity.cpus
                assert len(held) == len(set(held))
        world.run_programs()
        world.now += 1.0


def _devices(run: Run) -> tuple[str, ...]:
    return run.claim.gpus if run.claim else ()


def test_limits_in_git_bind_at_once() -> None:
    desired = replace(a_desired(), nodes={A: NodePolicy(drained=True)})
    todo = plan(desired, a_ledger(), (a_node("a"), a_node("b")), me("b"))
    assert [type(action) for action in todo.actions] == [CreateRun]
    assert plan(desired, a_ledger(), (a_node("a"),), me("a")).waiting[CROSSING].nodes[A] == "drained (nodes/a.yaml)"
    assert B not in plan(desired, a_ledger(), (a_node("a"),), me("a")).waiting[CROSSING].nodes
    assert me().boot == BOOT
