"""What a run asked for and used, in words."""

from dataclasses import replace

import pytest

from readonly_ui.resources import asked, memory_of, used
from reconciler.core.desired import Gpus, Requires
from reconciler.core.ledger import RunPhase
from reconciler.core.records import Resources
from tests.ui.evening import make_run
from tests.ui.evening_nodes import GIB


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        (None, ""),
        (Requires(), "1 cpu"),
        (Requires(cpus=0.5, memory=GIB, disk=20 * GIB), "0.5 cpus, 1.0 GiB memory, 20 GiB disk"),
        (
            Requires(cpus=4, gpus=Gpus(count=2, memory=8 * GIB, model="A6000", capability="8.0")),
            "4 cpus, 2 nvidia A6000 GPUs with 8.0 GiB each, capability 8.0 or higher",
        ),
        (
            Requires(gpus=Gpus(count=1, memory=4 * GIB, share=True), labels={"room": "lab-2"}),
            "1 cpu, 1 nvidia GPU with 4.0 GiB (may be shared), room=lab-2",
        ),
    ],
)
def test_what_was_asked_for(requires: Requires | None, said: str) -> None:
    assert asked(requires) == said


@pytest.mark.parametrize(
    ("amount", "limit", "said"),
    [(3.1 * GIB, 16 * GIB, "3.1 of 16 GiB"), (174 * 2**20, GIB, "174 MiB of 1.0 GiB"), (0, GIB, "0 B of 1.0 GiB")],
)
def test_a_unit_is_said_once(amount: float, limit: float, said: str) -> None:
    assert memory_of(amount, limit) == said


@pytest.mark.parametrize(
    ("hours", "said"),
    [(12.34, "12.3 cpu-hours"), (0.5, "30 cpu-minutes"), (1 / 60, "60 cpu-seconds"), (1 / 3600, "1 cpu-second")],
)
def test_small_amounts_are_not_rounded_to_nothing(hours: float, said: str) -> None:
    run = make_run(1, "detect", RunPhase.SUCCEEDED, hours=2)

    facts = used(replace(run, resources=Resources(cpu_hours=hours)))

    assert [(name, amount) for name, amount, _ in facts] == [("CPU", said)]


def test_nothing_is_said_of_what_was_not_measured() -> None:
    run = make_run(1, "detect", RunPhase.SUCCEEDED, hours=2)

    assert used(replace(run, resources=Resources())) == []
    assert used(replace(run, resources=None)) == []
