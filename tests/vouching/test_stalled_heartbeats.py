"""Two real nodes; the heartbeat of one stalls while its stage goes on: what the other one does about it."""

import json
import time

from tests.bad_input.conftest import Node
from tests.vouching.conftest import Stalling, free_port

TTL = 3.0
"""Of the site, see SITE_FILE."""


def begin(stalling: Stalling) -> Node:
    """Alpha runs a stage that lasts; beta is there to take it over."""
    site = stalling.site
    site.stage("flow", "while :; do sleep 0.1; done")
    port = free_port()
    alpha = stalling.start("alpha", listen=f"127.0.0.1:{port}")
    site.write("projects/crossing.yaml", "pipeline: flow\n")
    site.until_project("crossing", phase="Running", seconds=60)
    site.until(lambda: site.project("crossing")["runs"][0]["phase"] == "Running", 60)
    site.start("beta")
    return alpha


def told(stalling: Stalling) -> list[str]:
    """What beta's machine shows of the project, while alpha itself publishes and hears no silence of its own."""
    found = stalling.site("--config", stalling.site.root / "beta.yaml", "status", "--output", "json")
    [project] = json.loads(found.out)["projects"]
    return [one["type"] for one in project["conditions"]]


def test_an_owner_that_answers_keeps_its_run_until_it_no_longer_does(stalling: Stalling) -> None:
    site = stalling.site
    alpha = begin(stalling)
    stalling.stall("alpha")
    began = time.monotonic()
    while time.monotonic() - began < 4 * TTL:
        assert stalling.claims("crossing") == ["CLAIM alpha"], "taken from an owner that answers"
        time.sleep(0.1)
    stalling.kill(alpha)
    site.until(lambda: stalling.claims("crossing") == ["CLAIM alpha", "CLAIM beta"], 60)


def test_ten_ttl_are_the_end_of_patience(stalling: Stalling) -> None:
    site = stalling.site
    site.write("winslow.yaml", "version: 1\nheartbeat: 0.5s\nttl: 1.5s\n")
    begin(stalling)
    stalling.stall("alpha")
    began = time.monotonic()
    site.until(lambda: len(stalling.claims("crossing")) > 1, 120)
    assert time.monotonic() - began > 5 * 1.5, "nobody waited"
    assert stalling.claims("crossing") == ["CLAIM alpha", "CLAIM beta"]


def test_an_owner_without_a_port_is_replaced_after_its_ttl(stalling: Stalling) -> None:
    site = stalling.site
    site.stage("flow", "while :; do sleep 0.1; done")
    stalling.start("alpha")
    site.write("projects/crossing.yaml", "pipeline: flow\n")
    site.until(lambda: stalling.claims("crossing"), 60)
    site.start("beta")
    stalling.stall("alpha")
    site.until(lambda: stalling.claims("crossing") == ["CLAIM alpha", "CLAIM beta"], 60)


def test_people_are_told_until_the_heartbeat_goes_on(stalling: Stalling) -> None:
    site = stalling.site
    site.write("winslow.yaml", "version: 1\nheartbeat: 1s\nttl: 10s\n")
    begin(stalling)
    stalling.stall("alpha")
    site.until(lambda: "OwnerAnswers" in told(stalling), 80)
    stalling.go_on("alpha")
    site.until(lambda: not told(stalling), 60)
    assert stalling.claims("crossing") == ["CLAIM alpha"]
