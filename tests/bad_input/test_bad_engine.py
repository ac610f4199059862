"""A container engine that stops in the middle: the run is tried again, other projects don't notice.

An engine of our own, away from the machine's: its socket, data and processes all lie in the test's directory.
"""

import signal
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from tests.engine_faults.private import PrivateEngine, private_engine


@pytest.fixture
def own_engine(site: Any, engine: docker.DockerClient) -> Iterator[PrivateEngine]:
    del engine  # it made the image
    for own in private_engine():
        yield own
        site.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stage_whose_engine_was_restarted_is_tried_again(
    site: Any, own_engine: PrivateEngine, number: signal.Signals
) -> None:
    site.stage("sleepy", "echo attempt $WINSLOW_ATTEMPT; [ $WINSLOW_ATTEMPT -gt 1 ] || sleep 300")
    site.write("projects/ulm.yaml", "pipeline: sleepy\n")
    node = site.start("alpha", runtime="docker", docker={"host": own_engine.host, "stop_grace": "1s"})
    site.until(lambda: "attempt 1" in site("--config", site.root / "alpha.yaml", "logs", "ulm").out)
    own_engine.end(number)
    site.until(lambda: "EngineUnavailable" in site.explain("ulm"))
    site.start("beta")
    site.write("pipelines/plain.yaml", "stages: [{name: plain, process: {command: [echo, hello]}}]\n")
    site.write("projects/bonn.yaml", "pipeline: plain\n")
    site.until_project("bonn", phase="Succeeded")
    for shown in (site("--config", site.root / "alpha.yaml", "status").out, site.page()):
        assert "EngineUnavailable" in shown
        assert "sudo systemctl start docker" in shown
    site.until(lambda: "EngineUnavailable" in site.observed("README.md"))
    assert site.project("ulm")["phase"] == "Running"
    own_engine.start()
    (run,) = site.until_project("ulm", phase="Succeeded", seconds=60)["runs"]
    assert (run["attempts"], run["exit_code"]) == (2, 0)  # on either node
    records = sorted((site.share / "projects/ulm/runs/0001-work/records").iterdir())
    assert "EngineRestarted" in records[1].read_text()
    site.until(lambda: "EngineUnavailable" not in site.observed("README.md"))
    assert node.process.poll() is None
