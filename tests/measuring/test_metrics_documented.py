"""docs/measurements.md names exactly the gauges that there are."""

import re
from pathlib import Path

from reconciler.agent.gauges import OF_GPU, OF_NODE, OF_RUN

PAGE = Path(__file__).parents[2] / "docs/measurements.md"


def test_the_page_names_every_gauge_and_no_other() -> None:
    rows = [line.split(" | ")[0] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`winslow_(\w+)`", row)}
    known = {name for table in (OF_NODE, OF_GPU, OF_RUN) for name, _ in table.values()}
    assert told == known | {"sample_age_seconds"}
