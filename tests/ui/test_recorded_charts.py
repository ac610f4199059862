"""Charts of what a node really recorded: rings on a share, coarser the older they are."""

from datetime import timedelta
from pathlib import Path

import pytest

from readonly_ui import panels
from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.rings import Rings
from reconciler.core.measurements import RESOLUTIONS, Ring, Row, Slot, add, series
from reconciler.core.names import NodeName
from tests.ui.evening_nodes import NOW, node

NODE = NodeName("gpu-1")
STEP = 10
OFF = range(6 * 3600, 9 * 3600)  # seconds ago


@pytest.fixture
def rings(tmp_path: Path) -> Rings:
    """Two days at half load, but for three hours in which the node was off."""
    SharedDirectory.create(tmp_path / "share")
    rings = Rings(SharedDirectory(tmp_path / "share"))
    standing = tuple(Ring(resolution) for resolution in RESOLUTIONS)
    found: list[Slot] = []
    end = int(NOW.timestamp())
    for time in range(end - 2 * 86400, end, STEP):
        if end - time not in OFF:
            standing, slots = add(standing, Row(time, (0.5, 0.5), (0.5, 0.9)))
            found += slots
    file = rings.open_node(NODE, ["cpu", "load"], NOW)
    file.write(found, {})
    file.close()
    return rings


@pytest.mark.parametrize(
    ("span", "stretches", "begins"),
    [("hour", 1, 0), ("day", 2, 0), ("month", 1, 280)],
    ids=["an hour", "a day with a gap", "a month of which two days are known"],
)
def test_each_view_is_drawn_as_far_as_something_was_recorded(
    rings: Rings, span: str, stretches: int, begins: int
) -> None:
    since = NOW - panels.SPANS[span]
    found = series(rings.read_node(NODE, since), since=int(since.timestamp()))

    ((cpu, *_), *_) = [panel.charts for panel in panels.of_node(node("gpu-1"), found, since, NOW)]

    path = cpu.lines[0].path
    assert path.count("M") == stretches
    first = float(path[1:].split(" ", 1)[0])
    assert begins <= first <= begins + 3
    assert cpu.lines[0].latest == "50 %"
    assert len(path) < 4000


def test_the_rings_hold_what_the_test_thinks(rings: Rings) -> None:
    """A guard: a gap that was never there would not be seen."""
    found = series(rings.read_node(NODE, NOW - timedelta(days=1)), since=int((NOW - timedelta(days=1)).timestamp()))

    gaps = [after - before for before, after in zip(found.times, found.times[1:], strict=False)]
    assert max(gaps) >= OFF.stop - OFF.start
