"""Nodes and their GPUs where there is no browser: what is free, what is broken, and who else sits on one."""

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from reconciler.cli.status import show
from reconciler.core.ledger import RunPhase
from reconciler.core.status import DeviceStatus, NodeStatus, Status
from tests.ui.evening import evening
from tests.ui.evening_nodes import device, nodes


def said(*shown: NodeStatus) -> list[str]:
    return _shown(Status(projects=(), nodes=shown))


def _shown(status: Status) -> list[str]:
    console = Console(file=StringIO(), width=200, highlight=False, markup=False, soft_wrap=True)
    show(console, status, datetime.now(UTC))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def test_nodes_say_how_many_gpus_are_free_and_what_became_of_the_others() -> None:
    lines = said(*nodes())

    assert any("gpu-1" in line and "32 cpus, 120 GiB, 1 of 4 GPUs free, 1 faulty" in line for line in lines)
    assert any("gpu-3" in line and "32 cpus, 120 GiB, 2 GPUs" in line for line in lines), "silent: who knows?"
    assert lines[-2:] == [
        "  gpu-1 GPU 2 faulty: has fallen off the bus; the machine needs a restart",
        "  gpu-1 GPU 3 used outside Winslow: python train.py (pid 4711)",
    ]


@pytest.mark.parametrize("one", [device(0), device(0, holder="ulm/0001-detect", busy="python (pid 12)")])
def test_a_gpu_that_is_free_or_held_needs_no_line_of_its_own(one: DeviceStatus) -> None:
    (node, *_) = nodes()

    assert "GPU 0" not in "\n".join(said(replace(node, devices=(one,))))


def test_in_a_clone_the_nodes_say_no_other_than_the_runs_above_them() -> None:
    seen = evening()
    running = {run.node for project in seen.projects for run in project.runs if run.phase is RunPhase.RUNNING}
    lasting = tuple(replace(node, live=None, silent_for=None, running=()) for node in seen.nodes)

    lines = _shown(replace(seen, nodes=lasting))

    table = lines[lines.index("nodes") + 2 :]
    told = {line.split()[0]: line for line in table if "not known here" in line}
    assert told.keys() == {node.node for node in seen.nodes}
    assert running
    for node in running:
        assert "ulm-07/0003-" in told[node or ""]
