"""Real nodes on a share that really hangs: the kernel holds their calls, whatever signal they get."""

import fcntl
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.conftest import WINSLOW, Node, Site
from tests.stalls.conftest import Mount

PATIENCE = 90.0
"""Seconds. Nothing here takes more than some twenty on an idle machine."""


def runs(pid: int) -> bool:
    """A program whose supervisor hangs may have ended and wait for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class HungSite(Site):
    """A site whose share hangs on demand."""

    hanging: Mount
    port: int

    @property
    def share(self) -> Path:
        return self.hanging.point

    def begin(self, log: Path, *options: str) -> Node:
        """Start a node without waiting for it to join."""
        with log.open("wb") as file:
            process = subprocess.Popen(
                [WINSLOW, "--config", self.config(), "node", *options],
                cwd=self.root,
                env=self.environment,
                stderr=file,
                stdout=file,
            )
        self.nodes.append(Node(process, log))
        return self.nodes[-1]

    def healthz(self) -> tuple[int, dict[str, Any]]:
        """Status and report; whatever hangs, within a few seconds even on a busy machine."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=10.0) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def conditions(self) -> set[str]:
        return {one["type"] for one in self.healthz()[1]["conditions"]}

    def serves(self) -> bool:
        try:
            self.healthz()
        except OSError:
            return False
        return True

    def programs(self) -> set[str]:
        """Projects whose program runs, by the runtime's own files."""
        found = set()
        for file in (self.root / "local/alpha/process").glob("*.json"):
            state = json.loads(file.read_text())
            program = state["program"]
            if program and runs(program["pid"]):
                found.add(str(state["labels"]["winslow.project"]))
        return found

    def accepted(self) -> str:
        """The commit that the node works from, in its own clone."""
        clone = self.root / "local/alpha/state.git"
        return self.git(clone, "for-each-ref", "--format=%(objectname)", "refs/winslow/accepted/main").strip()

    def records(self, project: str) -> list[dict[str, Any]]:
        """Of its first run, behind the mount's back."""
        directory = self.hanging.behind / f"projects/{project}/runs/0001-work/records"
        found: list[dict[str, Any]] = [json.loads(file.read_text()) for file in sorted(directory.glob("*.json"))]
        return found


@pytest.fixture
def site(tmp_path: Path, mount: Mount) -> Iterator[HungSite]:
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WINSLOW_", "XDG_", "GIT_"))}
    person = {f"GIT_{role}_{what}": "ada@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    made = HungSite(tmp_path, {**kept, **person, "HOME": str(home), "COLUMNS": "300"})
    made.hanging = mount
    with socket.create_server(("127.0.0.1", 0)) as free:
        made.port = free.getsockname()[1]
    made.settings = {"listen": f"127.0.0.1:{made.port}"}
    made.make()
    yield made
    mount.heal()
    made.end()


def gone(node: Node) -> bool:
    return node.process.poll() is not None


def local_lock_is_free(site: HungSite) -> bool:
    """Could a successor start?"""
    with (site.root / "local/alpha/lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_node_lives_through_a_share_that_hangs(site: HungSite) -> None:
    """It answers, says so, hears of commits, stops the one stage that asks for it, and then goes on by itself."""
    site.stage("careful", "sleep 3000", on_suspect="stop")
    site.stage("plain", "sleep 3000")
    site.write("projects/ulm.yaml", "pipeline: careful\n")
    site.write("projects/bonn.yaml", "pipeline: plain\n")
    node = site.start()
    site.until(lambda: site.programs() == {"ulm", "bonn"}, PATIENCE)
    site.until(lambda: {claim["project"] for claim in site.healthz()[1]["claims"]} == {"ulm", "bonn"}, PATIENCE)
    assert site.healthz()[0] == 200
    own = [record["token"] for record in site.records("bonn")]

    site.hanging.hang()
    site.until(lambda: site.healthz()[0] == 503, PATIENCE)
    assert "ShareUnreachable" in site.conditions()
    assert "ShareUnavailable" not in site.conditions()
    assert "bonn" in {claim["project"] for claim in site.healthz()[1]["claims"]}, "others who ask hear that it lives"
    site.until(lambda: site.programs() == {"bonn"}, PATIENCE)
    site.write("projects/bonn.yaml", "pipeline: plain\nname: Bonn\n")
    newest = site.git(site.state, "rev-parse", "HEAD").strip()
    site.until(lambda: site.accepted() == newest, PATIENCE)
    assert len(site.records("ulm")) == 1, "nothing can be recorded yet"

    site.hanging.heal()
    site.until(lambda: "ShareUnreachable" not in site.conditions(), PATIENCE)
    site.until(lambda: len(site.records("ulm")) >= 3, PATIENCE)
    released, again = site.records("ulm")[1:3]
    assert (released["kind"], released["reason"]) == ("RELEASED", "Suspect")
    assert again["kind"] == "CLAIM"
    assert [record["token"] for record in site.records("bonn")] == own, "the other stage never noticed"
    assert node.end() == 0


def test_a_node_that_starts_on_a_hung_share_says_so_and_can_be_stopped(site: HungSite) -> None:
    site.hanging.hang()
    log = site.root / "alpha.log"
    node = site.begin(log)
    site.until(lambda: gone(node) or (site.serves() and site.healthz()[0] == 503), PATIENCE)
    assert site.conditions() == {"ShareUnreachable"}
    node.process.terminate()
    site.until(lambda: gone(node), PATIENCE)
    assert node.process.returncode == 3
    assert "did not answer" in node.said


def test_a_node_that_starts_on_a_hung_share_takes_part_once_it_answers(site: HungSite) -> None:
    site.hanging.hang()
    node = site.begin(site.root / "alpha.log")
    site.until(site.serves, PATIENCE)
    site.hanging.heal()
    site.until(lambda: "node_joined" in node.said, PATIENCE)
    assert node.end() == 0


def test_a_node_that_is_stopped_while_its_share_hangs_makes_way_for_its_successor(site: HungSite) -> None:
    """The kernel may keep what is left of it until the share is back: its lock and its port it gives back before."""
    site.stage("plain", "sleep 3000")
    site.write("projects/bonn.yaml", "pipeline: plain\n")
    node = site.start()
    site.until(lambda: site.programs() == {"bonn"}, PATIENCE)
    site.hanging.hang()
    time.sleep(2.0)  # its calls are under way: a heartbeat a second
    node.process.terminate()
    site.until(lambda: "share_hangs_at_end" in node.said and "did not answer" in node.said, PATIENCE)
    site.until(lambda: local_lock_is_free(site) and not site.serves(), PATIENCE)
    assert site.programs() == {"bonn"}, "its stage goes on"
    site.hanging.heal()
    site.until(lambda: gone(node), PATIENCE)
    assert node.process.returncode == 3
    again = site.start()
    site.until(lambda: "container_adopted" in again.said, PATIENCE)
    assert [record["kind"] for record in site.records("bonn")] == ["CLAIM"]
    assert again.end() == 0


def test_handing_over_on_a_hung_share_stops_nothing(site: HungSite) -> None:
    """Released first, or not at all: a stopped stage whose claim stands would look like a failed program."""
    site.stage("plain", "sleep 3000")
    site.write("projects/bonn.yaml", "pipeline: plain\n")
    node = site.begin(site.root / "alpha.log", "--hand-over")
    site.until(lambda: site.programs() == {"bonn"}, PATIENCE)
    site.hanging.hang()
    node.process.terminate()
    site.until(lambda: "hand_over_incomplete" in node.said, PATIENCE)
    site.until(lambda: "did not answer" in node.said, PATIENCE)
    assert site.programs() == {"bonn"}
    site.hanging.heal()
    site.until(lambda: gone(node), PATIENCE)
    assert node.process.returncode == 3
