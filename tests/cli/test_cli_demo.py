"""The demo, whole: real git, real nodes, the real video, as plain processes. Takes a minute or two."""

import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from reconciler.cli.demo.layout import held, make

pytest.importorskip("traffic", reason="make setup (or: pip install ./examples/traffic-flow)")


def processes_of(root: Path) -> list[str]:
    """Command lines of everything that has to do with the demo in ``root``, stages included."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        told = " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
        if str(root) in told and process.pid != os.getpid():
            found.append(told)
    return found


def demo(winslow: Any, tmp_path: Path, *more: str, runtime: str = "process") -> Any:
    return winslow.start("demo", "--dir", tmp_path / "demo", "--runtime", runtime, "--port", "0", *more)


def history(root: Path) -> str:
    command = ["git", "-C", str(root / "state.git"), "log", "observed", "--format=%B"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.timeout(400)
def test_the_demo_finishes_a_real_video_and_leaves_nothing_running(winslow: Any, tmp_path: Path) -> None:
    running = demo(winslow, tmp_path, "--exit-when-done", "--output", "json")
    url = next(match[1] for line in running.stderr if (match := re.match(r"page: +(\S+)", line)))
    with urllib.request.urlopen(f"{url}/healthz") as answer:  # noqa: S310  # our own page
        assert json.load(answer)["ok"] is True
    out, said = running.communicate(timeout=300)
    assert running.returncode == 0, said
    told = json.loads(out)
    assert (told["phase"], told["runs"], told["runtime"], told["url"]) == ("Succeeded", 3, "process", url)
    assert set(told["nodes"]) == {"alpha", "beta"}
    root = tmp_path / "demo"
    assert f"{root}/share/projects/crossing/output/0003-report/report.html" in said
    assert (root / "share/projects/crossing/output/0003-report/report.html").is_file()
    for line in ("run 1 detect Succeeded", "run 2 track Succeeded", "run 3 report Succeeded", "crossing: Succeeded"):
        assert line in history(root)
    assert processes_of(root) == []


@pytest.mark.timeout(1500)  # the image's base may have to be made first, which takes minutes
def test_the_demo_runs_in_containers(winslow: Any, tmp_path: Path, engine: docker.DockerClient) -> None:
    running = demo(winslow, tmp_path, "--exit-when-done", "--output", "json", runtime="docker")
    out, said = running.communicate(timeout=1400)
    assert running.returncode == 0, said
    told = json.loads(out)
    assert (told["phase"], told["runs"], told["runtime"]) == ("Succeeded", 3, "docker")
    records = (tmp_path / "demo/share/projects/crossing/runs").glob("*/records/00000002.json")
    assert all(json.loads(record.read_text())["image_digest"] for record in records)
    assert processes_of(tmp_path / "demo") == []
    share = json.loads((tmp_path / "demo/share/winslow.json").read_text())["share"]
    assert engine.containers.list(all=True, filters={"label": f"winslow.share={share}"}) == []


@pytest.mark.timeout(400)
def test_a_killed_node_is_told_of_and_a_second_start_goes_on(
    winslow: Any, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    root = tmp_path / "demo"
    running = demo(winslow, tmp_path)
    log = root / "share/projects/crossing/runs/0001-detect/1/log.jsonl"
    eventually(lambda: log.exists() and b" %" in log.read_bytes(), 90)
    status = json.loads(winslow("--config", root / "alpha.yaml", "status", "--output", "json").out)
    node = status["projects"][0]["runs"][0]["node"]
    os.kill(json.loads((root / f"logs/{node}.process.json").read_text())["pid"], signal.SIGKILL)
    fallen = next(line for line in running.stdout if line.startswith(f"node {node} "))
    assert "SIGKILL" in fallen
    assert f"{node}.yaml node --hand-over" in running.stdout.readline()
    assert processes_of(root / "share"), "the stage goes on without its node"
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert processes_of(root) == []
    before = (root / "state.git/refs/heads/main").read_text()
    again = demo(winslow, tmp_path, "--exit-when-done", "--output", "json")
    out, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert json.loads(out)["runs"] == 3
    assert (root / "state.git/refs/heads/main").read_text() == before


def test_two_demos_do_not_share_a_directory(winslow: Any, tmp_path: Path) -> None:
    first = demo(winslow, tmp_path)
    next(line for line in first.stdout if line.startswith("page:"))
    second = winslow("demo", "--dir", tmp_path / "demo", "--runtime", "process", "--port", "0")
    assert second.code == 2
    assert "a demo runs already in" in second.err
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 130
    assert processes_of(tmp_path / "demo") == []


def test_a_demo_that_was_killed_finds_its_nodes_again(winslow: Any, tmp_path: Path) -> None:
    first = demo(winslow, tmp_path)
    nodes = next(line for line in first.stdout if line.startswith("nodes:"))
    first.kill()
    first.wait()
    second = demo(winslow, tmp_path)
    assert next(line for line in second.stdout if line.startswith("nodes:")) == nodes
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 130
    assert processes_of(tmp_path / "demo") == []


def test_without_an_engine_auto_takes_processes_and_says_why(winslow: Any, tmp_path: Path) -> None:
    winslow.environment["DOCKER_HOST"] = f"unix://{tmp_path}/no.sock"
    running = winslow.start("demo", "--dir", tmp_path / "demo", "--port", "0")
    why = running.stdout.readline()
    assert why.startswith("stages run as plain processes, because the container engine at ")
    assert next(line for line in running.stdout if line.startswith("nodes:")).endswith("as plain processes\n")
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 130


def test_docker_asked_for_without_an_engine_is_an_error(winslow: Any, tmp_path: Path) -> None:
    winslow.environment["DOCKER_HOST"] = f"unix://{tmp_path}/no.sock"
    ended = winslow("demo", "--dir", "demo", "--runtime", "docker", "--port", "0")
    assert ended.code == 3
    assert "does not answer" in ended.err


def test_a_directory_keeps_the_runtime_it_began_with(winslow: Any, tmp_path: Path) -> None:
    with held(tmp_path / "demo") as layout:
        make(layout, ["alpha"], "process")
    ended = winslow("demo", "--dir", "demo", "--runtime", "docker", "--port", "0")
    assert ended.code == 2
    assert "began with runtime: process" in ended.err
