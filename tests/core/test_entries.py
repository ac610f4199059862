"""What a node's entry says of its devices, and what claims keep of it."""

from dataclasses import replace
from typing import Any

from reconciler.core.desired import Gpus, Requires
from reconciler.core.ledger import Run
from reconciler.core.nodes import Availability, Remark
from reconciler.core.report import report
from reconciler.core.status import NodeStatus, Status
from tests.fakes.build import a_claim, a_desired, a_gpu, a_ledger, a_node, a_run, done

GIB = 2**30
NEEDS = Requires(cpus=4, memory=8 * GIB, gpus=Gpus(count=1))


def told(*runs: Run, **said: Any) -> Status:
    node = replace(a_node("a", gpus=(a_gpu("GPU-0"), a_gpu("GPU-1"))), **said)
    return report(a_desired(), a_ledger(*runs), [node], branch="main")


def node_of(status: Status) -> NodeStatus:
    (node,) = status.nodes
    return node


def test_a_claim_holds_its_devices_and_reserves_what_it_asked_for() -> None:
    node = node_of(told(a_run(1, "detect", a_claim(gpus=("GPU-1",)), requires=NEEDS)))

    assert [(one.uuid, one.holder) for one in node.devices] == [("GPU-0", ""), ("GPU-1", "crossing/0001-detect")]
    assert (node.cpus_used, node.memory_used) == (4, 8 * GIB)


def test_an_ended_run_holds_nothing() -> None:
    node = node_of(told(a_run(1, "detect", a_claim(gpus=("GPU-1",)), done(), requires=NEEDS)))

    assert {one.holder for one in node.devices} == {""}
    assert (node.cpus_used, node.memory_used) == (0, 0)


def test_who_else_uses_a_device_is_told_by_its_node() -> None:
    node = node_of(told(availability=Availability(busy={"GPU-0": "python (pid 4711)"})))

    assert [one.busy for one in node.devices] == ["python (pid 4711)", ""]


def test_a_run_that_starts_says_how_far_its_image_is_pulled() -> None:
    remark = Remark("PullingImage", "pulls registry.example/traffic:1.4", "3.1 of 8.0 GiB")
    run = a_run(1, "detect", a_claim())
    project = a_desired().projects.keys()

    status = told(run, remarks=dict.fromkeys(project, remark))

    assert [one.now for one in status.projects[0].runs] == ["3.1 of 8.0 GiB"]
