"""The lab's short form: real machines lose their power, freeze, and lose their share. ``make lab`` plays all of it."""

import json
import os
import subprocess
import sys

import pytest

from tests.lab import requirements

REPORT = requirements.CHECKOUT / ".lab" / "report.json"


@pytest.mark.timeout(900)
def test_real_machines_keep_the_promises_of_the_short_form() -> None:
    """One lab for all scenarios: to boot it takes longer than most of them."""
    if why := requirements.missing():
        if os.environ.get("WINSLOW_REQUIRE_LAB"):
            pytest.fail(why)
        pytest.skip(why)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.lab", "--short"],
        cwd=requirements.CHECKOUT,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    outcomes = {row["scenario"]: row["outcome"] for row in json.loads(REPORT.read_text())}
    assert outcomes, "no scenario was played"
    assert set(outcomes.values()) == {"as promised"}
