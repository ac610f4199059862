"""A plain process that takes more memory than its stage asked for: the same words as of a container."""

import sys
from typing import Any

import pytest

from reconciler.adapters.process import delegation

DELEGATED = delegation.find(settle=False)


@pytest.mark.skipif("memory" not in DELEGATED.enforced, reason=f"limits that this machine lets us set: {DELEGATED}")
def test_a_plain_process_over_its_memory_fails_and_its_node_told_what_it_enforces(site: Any) -> None:
    program = [sys.executable, "-S", "-c", "held = bytearray(300 * 2**20)"]
    site.stage("hungry", "", process={"command": program}, requires={"cpus": 1, "memory": "64MiB"})
    site.write("projects/one.yaml", "pipeline: hungry\n")
    site.start()
    (run,) = site.until_project("one", phase="Failed")["runs"]
    assert run["reason"] == "OutOfMemory"
    assert "used more memory than requires.memory allows; raise it in the pipeline" in run["message"]
    (node,) = site.status()["nodes"]
    assert node["inventory"]["engine"]["limits"] == str(DELEGATED)
