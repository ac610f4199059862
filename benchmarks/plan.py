"""How long does a node think about 10,000 projects on 1,000 nodes? Goal: 200 ms.

Nothing but ``plan()`` is measured: no share, no git. The site is busy: of the projects 45 % have finished, 30 % run,
25 % wait for a node. Seconds are those of the processor, so that a busy machine does not count. ``--profile`` shows
where they go; with ``--full`` no stage fits anywhere.
"""

import argparse
import cProfile
import statistics
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.core.desired import Desired, Gpus, Pipeline, Project, Requires, Stage
from reconciler.core.draft import Header, Me
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.names import (
    Blob,
    Commit,
    NodeName,
    PipelineName,
    ProjectName,
    RecordNumber,
    RunNumber,
    ShareId,
    StageName,
    Token,
)
from reconciler.core.nodes import Availability, Capacity, Gpu, Node, NodeRecord
from reconciler.core.plan import plan
from reconciler.core.records import Claim, DesiredSeen, Done, RunCreated, RunRecord

GOAL = 200.0
GIB = 2**30
SHARE, COMMIT, BLOB = ShareId("bench"), Commit("c" * 40), Blob("b" * 40)
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
STAGES = ("decode", "detect", "track", "report")
KINDS = 10
"""Pipelines whose stages need different things."""


def header(number: int, node: str) -> Header:
    return Header(
        number=RecordNumber(number),
        token=Token(f"{node}-{number}"),
        share=SHARE,
        node=NodeName(node),
        at=BEGAN + timedelta(seconds=number),
    )


def a_node(number: int) -> Node:
    name = f"node-{number:04d}"
    gpus = tuple(Gpu(uuid=f"{name}-{index}", model="RTX 3090", memory=24 * GIB) for index in range(number % 9))
    record = NodeRecord(
        **header(1, name),
        incarnation=f"{name}-1",
        boot=f"boot-{name}",
        home=name,
        runtime="docker",
        capacity=Capacity(cpus=32.0, memory=128 * GIB, gpus=gpus),
    )
    images = frozenset({"traffic:1"} if number % 3 else ())
    return Node(
        name=NodeName(name),
        record=record,
        starts=frozenset({record.incarnation}),
        availability=Availability(images=images, load=(number % 4) / 4),
    )


def pipelines() -> dict[PipelineName, Pipeline]:
    return {
        PipelineName(f"flow-{kind}"): Pipeline(
            id=PipelineName(f"flow-{kind}"),
            name="Flow",
            path=f"pipelines/flow-{kind}.yaml",
            blob=BLOB,
            environment={"FRAME_STEP": "1"},
            stages=tuple(
                Stage(name=StageName(name), image="traffic:1", requires=requires(kind, name)) for name in STAGES
            ),
        )
        for kind in range(KINDS)
    }


def requires(kind: int, stage: str) -> Requires:
    gpus = Gpus(count=1 + kind % 4, memory=8 * GIB) if stage == "detect" else Gpus()
    return Requires(cpus=2.0 + kind / 2, memory=(4 + kind) * GIB, gpus=gpus)


def a_run(project: Project, number: int, *after: RunRecord, needs: Requires) -> Run:
    created = RunCreated(
        **header(number + 1, "node-0001"),
        run=RunNumber(number),
        stage=StageName(STAGES[number - 1]),
        commit=COMMIT,
        pipeline=project.pipeline,
        pipeline_blob=BLOB,
        image="traffic:1",
        requires=needs,
        is_last=number == len(STAGES),
    )
    return Run(created=created, records=after, started_at=BEGAN, output_published=True)


def a_claim(node: str, gpus: tuple[str, ...]) -> Claim:
    return Claim(
        **header(1, node), because="Fresh", boot=f"boot-{node}", incarnation=f"{node}-1", runtime="docker", gpus=gpus
    )


def a_history(project: Project, index: int, nodes: tuple[Node, ...]) -> ProjectHistory:
    """Every project has behind it what its place in the list says: 45 % all, 30 % run detect, 25 % wait for it."""
    share, kind = index % 20, index % KINDS
    finished = len(STAGES) if share < 9 else 1
    done: list[Run] = []
    for number in range(1, finished + 1):
        ended = (a_claim("node-0001", ()), Done(**header(2, "node-0001")))
        done.append(a_run(project, number, *ended, needs=requires(kind, STAGES[number - 1])))
    if 9 <= share < 15:
        node = nodes[index % len(nodes)]
        done.append(a_run(project, 2, a_claim(node.name, ()), needs=Requires(cpus=2.0, memory=4 * GIB)))
    seen = DesiredSeen(**header(1, "node-0001"), commit=COMMIT, blob=BLOB)
    return ProjectHistory(records=(seen, *(run.created for run in done)), runs=tuple(done))


def a_site(projects: int, count: int, *, full: bool) -> tuple[Desired, Ledger, tuple[Node, ...], Me]:
    nodes = tuple(a_node(number) for number in range(count))
    if full:
        nodes = tuple(replace(node, record=replace(node.record, capacity=Capacity(cpus=8.0))) for node in nodes)
    wanted = [
        Project(
            id=ProjectName(f"flight-{index:05d}"),
            name=f"Flight {index}",
            pipeline=PipelineName(f"flow-{index % KINDS}"),
            path=f"projects/flight-{index:05d}.yaml",
            blob=BLOB,
            environment={"THRESHOLD": "0.45"},
        )
        for index in range(projects)
    ]
    desired = Desired(commit=COMMIT, pipelines=pipelines(), projects={one.id: one for one in wanted})
    histories = {one.id: a_history(one, index, nodes) for index, one in enumerate(wanted)}
    here = nodes[1].record
    me = Me(
        name=here.node,
        boot=here.boot,
        incarnation=here.incarnation,
        runtime="docker",
        now=BEGAN + timedelta(hours=1),
        monotonic=1000.0,
        contained=frozenset({COMMIT}),
        may_prepare=True,
    )
    return desired, Ledger(share=SHARE, projects=histories), nodes, me


def measure(rounds: int, site: tuple[Desired, Ledger, tuple[Node, ...], Me]) -> list[float]:
    """Milliseconds of each plan; the first one only warms up."""
    plan(*site)
    found = []
    for _ in range(rounds):
        began = time.process_time()
        plan(*site)
        found.append(1000 * (time.process_time() - began))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    site = a_site(asked.projects, asked.nodes, full=asked.full)
    if asked.profile:
        cProfile.runctx("measure(3, site)", globals(), {"site": site}, sort="tottime")
        return
    taken = measure(asked.rounds, site)
    print(
        f"plan() over {asked.projects} projects and {asked.nodes} nodes: median {statistics.median(taken):.0f} ms, "
        f"best {min(taken):.0f} ms, worst {max(taken):.0f} ms (goal {GOAL:.0f})"
    )


if __name__ == "__main__":
    main()
