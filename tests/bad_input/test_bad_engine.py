"""A container engine that stops in the middle: the run is tried again, other projects don't notice.

An engine of our own, away from the machine's: its socket, data and processes all lie in the test's directory.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class PrivateEngine:
    root: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"unix://{self.root}/docker.sock"

    @property
    def docker(self) -> list[str]:
        return ["docker", "-H", self.host]

    def start(self) -> None:
        at = self.root
        options = {"data-root": at / "data", "exec-root": at / "exec", "pidfile": at / "pid", "bridge": "none"}
        command = ["dockerd", "-H", self.host, "--iptables=false", *(f"--{key}={to}" for key, to in options.items())]
        (at / "pid").unlink(missing_ok=True)
        with (at / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))

    def answers(self) -> bool:
        return subprocess.run([*self.docker, "info"], capture_output=True, check=False).returncode == 0

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes[-1]
        if process.poll() is None:
            process.send_signal(number)
            process.wait(30)

    def clear(self) -> None:
        """A killed engine leaves its containerd, whose pid it wrote down."""
        self.end()
        containerd = self.root / "exec/containerd/containerd.pid"
        if containerd.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(containerd.read_text()), signal.SIGTERM)


@pytest.fixture
def private_engine(site: Any, tmp_path: Path, request: Any) -> Iterator[PrivateEngine]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("an engine of its own needs root and dockerd: sudo apt-get install docker.io")
    root = Path(tempfile.mkdtemp(prefix="winslow-engine."))  # a socket's path has at most 107 characters
    engine = PrivateEngine(root)
    engine.start()
    try:
        site.until(engine.answers)
        assert request.getfixturevalue("build_image")(engine.docker, tmp_path) is None
        yield engine
        site.end()
    finally:
        engine.clear()
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stage_whose_engine_was_restarted_is_tried_again(
    site: Any, private_engine: PrivateEngine, number: signal.Signals
) -> None:
    site.stage("sleepy", "echo attempt $WINSLOW_ATTEMPT; [ $WINSLOW_ATTEMPT -gt 1 ] || sleep 300")
    site.write("projects/ulm.yaml", "pipeline: sleepy\n")
    node = site.start("alpha", runtime="docker", docker={"host": private_engine.host, "stop_grace": "1s"})
    site.until(lambda: "attempt 1" in site("--config", site.root / "alpha.yaml", "logs", "ulm").out)
    private_engine.end(number)
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
    private_engine.start()
    (run,) = site.until_project("ulm", phase="Succeeded", seconds=60)["runs"]
    assert (run["attempts"], run["exit_code"], run["node"]) == (2, 0, "alpha")
    records = sorted((site.share / "projects/ulm/runs/0001-work/records").iterdir())
    assert "EngineRestarted" in records[1].read_text()
    site.until(lambda: "EngineUnavailable" not in site.observed("README.md"))
    assert node.process.poll() is None
