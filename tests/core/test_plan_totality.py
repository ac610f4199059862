"""``plan`` over random worlds: nothing is forgotten, nothing raises, nothing is given away twice."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.actions import CreateRun
from reconciler.core.containers import ContainerState
from reconciler.core.desired import Desired, Gpus, Project, Requires
from reconciler.core.ledger import Ledger, Run
from reconciler.core.names import Blob, Commit, ProjectName, RunNumber
from reconciler.core.nodes import Node
from reconciler.core.plan import plan
from reconciler.core.records import Claim, RunRecord
from tests.fakes.build import (
    COMMIT,
    GIB,
    SHARE,
    A,
    a_claim,
    a_container,
    a_created,
    a_desired,
    a_gpu,
    a_history,
    a_key,
    a_next,
    a_node,
    a_pipeline,
    a_project,
    a_seen,
    a_stage,
    aborted,
    done,
    failed,
    lost,
    me,
    released,
)

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
