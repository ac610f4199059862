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

import psutil
import pytest

from tests.engine import IMAGE


@dataclass
class PrivateEngine:
    root: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"unix://{self.root}/docker.sock"

    def start(self) -> None:
        at = self.root
        options = {"data-root": at / "data", "exec-root": at / "exec", "pidfile": at / "pid", "bridge": "none"}
        command = ["dockerd", "-H", self.host, "--iptables=false", *(f"--{key}={to}" for key, to in options.items())]
        (at / "pid").unlink(missing_ok=True)
        with (at / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))

    def answers(self) -> bool:
        return subprocess.run(["docker", "-H", self.host, "info"], capture_output=True, check=False).returncode == 0

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes[-1]
        if process.poll() is None:
            process.send_signal(number)
            process.wait(30)

    def clear(self) -> None:
        """A killed engine leaves its containerd, containers' shims and mounts: all name our directory."""
        self.end()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(f"{self.root}/" in part for part in process.cmdline()):
                    for one in (*process.children(recursive=True), process):
                        one.kill()
                    process.wait(10)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in (one for one in reversed(mounts) if one.startswith(f"{self.root}/")):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.root)


@pytest.fixture
def private_engine(site: Any, engine: Any) -> Iterator[PrivateEngine]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("an engine of its own needs root and dockerd: sudo apt-get install docker.io")
    root = Path(tempfile.mkdtemp(prefix="winslow-engine."))  # a socket's path has at most 107 characters
    own = PrivateEngine(root)
    own.start()
    try:
        site.until(own.answers)
        image = subprocess.run(["docker", "save", IMAGE], capture_output=True, check=True).stdout
        subprocess.run(["docker", "-H", own.host, "load", "-q"], input=image, capture_output=True, check=True)
        yield own
        site.end()
    finally:
        own.clear()


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
