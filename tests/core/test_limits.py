"""Limits of tags and projects over all nodes: said before a claim, and made sure of after it."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.actions import CreateRun, PublishRun, ResolveImage
from reconciler.core.containers import ContainerState
from reconciler.core.desired import Desired, Gpus, Limit, Project, Requires, Site
from reconciler.core.draft import Plan
from reconciler.core.ledger import Ledger, ProjectHistory, RunPhase
from reconciler.core.names import NodeName, PipelineName, ProjectName
from reconciler.core.plan import plan
from reconciler.core.records import Released
from reconciler.core.report import explain
from tests.fakes.build import (
    GIB,
    SHARE,
    A,
    B,
    a_claim,
    a_desired,
    a_gpu,
    a_history,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    me,
)
from tests.fakes.world import World

TWO = Requires(gpus=Gpus(count=2))
NODES = tuple(a_node(name, gpus=tuple(a_gpu(f"{name}-{n}") for n in range(8)), cpus=64.0) for name in ("a", "b"))


def student(name: str, **fields: object) -> Project:
    return a_project(name, tags=("4k", "student"), **fields)


def site(*projects: Project, needs: Requires = TWO, **most: object) -> Desired:
    limit = Limit(**most)  # type: ignore[arg-type]  # named by callers
    flow = a_pipeline(a_stage("detect", requires=needs))
    return a_desired(*projects, pipeline=flow, site=Site(tag_limits={"student": limit}))


def holds(node: str = "b") -> ProjectHistory:
    return a_history(a_run(1, "detect", a_claim(1, node), requires=TWO), seen=(a_seen(),))


def waits(*names: str) -> dict[ProjectName, ProjectHistory]:
    return {ProjectName(name): a_history(seen=(a_seen(),)) for name in names}


def looked(desired: Desired, ledger: Mapping[ProjectName, ProjectHistory], name: str = "a") -> Plan:
    since = {f"claim {project}/1/1": 0.0 for project in desired.projects}
    return plan(desired, Ledger(share=SHARE, projects=ledger), NODES, me(name, since=since))


ULM, ZOO = student("ulm"), student("zoo")
NEEDS = {PipelineName("one"): Requires(gpus=Gpus(count=1)), PipelineName("two"): TWO}


def test_who_reaches_a_limit_is_told_which_and_who_holds_it() -> None:
    todo = looked(site(ULM, ZOO, gpus=3), {**waits("ulm"), ZOO.id: holds()})
    waiting = todo.waiting[ULM.id]
    assert waiting.because == "LimitReached"
    assert waiting.message == (
        "stage 'detect' waits: tag 'student' may hold 3 GPUs at once (limits in winslow.yaml): "
        "2 GPUs held by zoo/1; needs 2 GPUs"
    )


def test_people_are_told_the_same() -> None:
    desired, ledger = site(ULM, ZOO, gpus=3), Ledger(share=SHARE, projects={**waits("ulm"), ZOO.id: holds()})
    wait, answers = explain(desired, ledger, NODES, ULM)
    assert (wait.reason, wait.stage, answers) == ("LimitReached", "detect", {})


def test_each_thing_is_counted() -> None:
    needs = Requires(cpus=4.0, memory=8 * GIB)
    for most, told in (
        ({"stages": 1}, "1 stage at once"),
        ({"cpus": 4.5}, "4.5 cpus at once"),
        ({"memory": 9 * GIB}, "9.0 GiB at once"),
    ):
        held = replace(holds(), runs=(a_run(1, "detect", a_claim(1, "b"), requires=needs),))
        todo = looked(site(ULM, ZOO, needs=needs, **most), {**waits("ulm"), ZOO.id: held})
        assert told in todo.waiting[ULM.id].message


def test_a_projects_own_limit_binds_as_well() -> None:
    desired = replace(site(ULM), site=Site(project_limits={ULM.id: Limit(gpus=1)}))
    assert "project ulm may hold 1 GPU at once" in looked(desired, waits("ulm")).waiting[ULM.id].message


def test_others_and_what_needs_nothing_of_it_go_on() -> None:
    desired = site(ULM, ZOO, a_project("free"), gpus=2)
    todo = looked(desired, {**waits("ulm", "free"), ZOO.id: holds()})
    assert [action.project for action in todo.actions if isinstance(action, CreateRun | ResolveImage)] == ["free"]
    light = site(ULM, ZOO, needs=Requires(), gpus=2)
    assert ULM.id not in looked(light, {**waits("ulm"), ZOO.id: holds()}).waiting


def test_a_stage_that_alone_is_more_than_its_limit_waits_for_a_person() -> None:
    """It would wait for ever."""
    waiting = looked(site(ULM, gpus=1), waits("ulm")).waiting[ULM.id]
    assert (waiting.because, waiting.phase.value) == ("LimitTooLow", "AwaitingInput")
    assert "change its requires or the limit" in waiting.message


def test_one_plan_does_not_take_more_than_the_limit() -> None:
    """Nothing of what it takes is in the ledger yet."""
    todo = looked(site(ULM, ZOO, gpus=3), waits("ulm", "zoo"))
    assert len([action for action in todo.actions if isinstance(action, CreateRun)]) == 1
    assert "LimitReached" in {waiting.because for waiting in todo.waiting.values()}


def test_who_sees_after_its_claim_that_another_was_as_fast_gives_it_back() -> None:
    history = {ULM.id: holds("a"), ZOO.id: holds("b")}
    [action] = [one for one in looked(site(ULM, ZOO, gpus=3), history).actions if isinstance(one, PublishRun)]
    record = action.record
    assert isinstance(record, Released)
    assert (record.reason, record.counts) == ("LimitReached", False)
    assert "4 GPUs held by ulm/1, zoo/1" in record.message


def test_what_runs_goes_on_when_a_limit_is_lowered() -> None:
    world = World(site(ULM, ZOO, gpus=4), NODES[:1])
    for _ in range(6):
        world.carry_out(A, world.plan(A).actions)
        world.now += 3.0
    assert running(world) == 2
    world.desired = site(ULM, ZOO, gpus=1)
    for _ in range(3):
        world.carry_out(A, world.plan(A).actions)
    assert running(world) == 2


def test_a_dead_nodes_run_is_taken_over_within_its_own_limit() -> None:
    """It holds all that the tag may hold: itself."""
    nodes = (NODES[0], replace(NODES[1], silent_for=9999.0))
    since = {"claim ulm/1/2": 0.0}
    todo = plan(site(ULM, gpus=2), Ledger(share=SHARE, projects={ULM.id: holds("b")}), nodes, me("a", since=since))
    assert [action.because for action in todo.actions] == ["Takeover"]


# --- any order of two nodes' claiming, looking and starting ---


def running(world: World) -> int:
    found = (one for machine in world.machines.values() for one in machine.containers.values())
    return sum(container.state is ContainerState.RUNNING for container in found)


class Racing(World):
    """A node decides now and acts later: in between the other one does what it wants."""

    held: dict[NodeName, list[object]]

    def step(self, name: NodeName, what: str) -> None:
        self.now += 0.7
        held = self.held.setdefault(name, [])
        if what == "end":
            self.run_programs()
        elif what == "look" and not held:
            held.extend(self.plan(name).actions)
        elif what == "act" and held:
            self.carry_out(name, [held.pop(0)])  # type: ignore[list-item]  # actions, as they came


@given(
    st.lists(st.tuples(st.sampled_from([A, B]), st.sampled_from(["look", "act", "act", "end"])), max_size=80),
    st.integers(1, 3),
)
@settings(max_examples=200, deadline=None)
def test_no_more_is_ever_started_than_the_limit_allows(steps: list[tuple[NodeName, str]], most: int) -> None:
    """However two nodes' claims, looks and starts fall together. And all get through in the end."""
    projects = [student(f"flight-{number}") for number in range(5)]
    world = Racing(site(*projects, needs=Requires(), stages=most), NODES)
    world.held = {}
    for name, what in steps:
        world.step(name, what)
        assert running(world) <= most
    for turn in range(600):
        for name in (A, B):
            world.step(name, "look")
        for name in (A, B) * 3:
            world.step(name, "act")
            assert running(world) <= most
        if turn % 3 == 0:
            world.step(A, "end")
        if all(is_done(world.ledger.history(project.id)) for project in projects):
            return
    raise AssertionError({name: world.plan(A).waiting.get(name) for name in world.desired.projects})


def is_done(history: ProjectHistory) -> bool:
    return bool(history.runs) and all(run.phase is RunPhase.SUCCEEDED for run in history.runs)


def test_giving_back_uses_no_attempt() -> None:
    """Two nodes claim at the same instant, again and again at first; nothing is lost by it."""
    projects = [student(f"flight-{number}") for number in range(8)]
    world = Racing(site(*projects, needs=Requires(), stages=1), NODES)
    world.held = {}
    for _ in range(200):
        for what in ("look", "act", "act"):
            for name in (A, B):
                world.step(name, what)
        world.step(A, "end")
    records = [one for history in world.ledger.projects.values() for run in history.runs for one in run.records]
    released = [one for one in records if isinstance(one, Released)]
    assert all(is_done(history) for history in world.ledger.projects.values())
    assert released
    assert not any(one.counts for one in released)


def test_within_a_limit_nobody_is_passed_over() -> None:
    """Small stages would otherwise pass a bigger one for ever. What the limit leaves beside it they get."""
    flows = {name: a_pipeline(a_stage("detect", requires=needs), id=name) for name, needs in NEEDS.items()}
    projects = (student("first", pipeline="two", priority=1), student("second", pipeline="one"), ZOO)
    ledger = {**waits("first", "second"), ZOO.id: holds()}
    todo = looked(replace(site(*projects, gpus=3), pipelines=flows), ledger)
    assert not todo.actions
    assert "first/1 came first, and would hold 4 GPUs with what runs" in todo.waiting[ProjectName("second")].message
    todo = looked(replace(site(*projects, gpus=5), pipelines=flows), ledger)
    assert [action.project for action in todo.actions] == ["first", "second"]
