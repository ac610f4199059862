"""A project that waits is answered by merging a branch: the whole way, with a real node."""

import json
import subprocess

from tests.bad_input.conftest import Site

ONWARD, REDO = "proposals/road/1-continue", "proposals/road/1-redo"
PROJECT = "# The ring road, in fog\npipeline: gated\npriority: 1  # before the others\n"


def offered(site: Site) -> set[str]:
    names = site.git(site.remote, "for-each-ref", "--format=%(refname:short)", "refs/heads/proposals/")
    return set(names.split())


def gate(site: Site) -> None:
    commands = [
        {"name": name, "process": {"command": ["true"]}, "requires": {"cpus": 0.1}} for name in ("look", "count")
    ]
    commands[1]["confirm"] = "before"
    site.write("pipelines/gated.yaml", json.dumps({"stages": commands}))
    site.write("projects/road.yaml", PROJECT)


def test_merging_a_proposal_is_the_whole_interaction(site: Site) -> None:
    gate(site)
    site.start()
    site.until(lambda: offered(site) == {ONWARD, REDO})
    site.until(lambda: ONWARD in site.observed("README.md"))
    command = f"git pull && git merge --no-edit origin/{ONWARD} && git push"
    assert command in site("--config", site.root / "alpha.yaml", "status").out
    assert command in site.explain("road")
    assert ONWARD in site.page("/projects/road")

    site.git(site.state, "fetch", "-q", "origin", f"{REDO}:late")
    site.write("projects/unrelated.yaml", "pipeline: gated\npaused: true\n")  # main goes on meanwhile
    site.git(site.state, "reset", "-q", "--hard", "HEAD~1")  # and this clone does not know
    site.git(site.state, "branch", "-q", "--set-upstream-to=origin/main")
    subprocess.run(["sh", "-c", command], cwd=site.state, env=site.environment, check=True, capture_output=True)

    site.until_project("road", phase="Succeeded")
    assert (site.state / "projects/road.yaml").read_text() == PROJECT + "next: {stage: count, after: 1}\n"
    site.until(lambda: not offered(site))

    site.git(site.state, "merge", "-q", "--no-edit", "-X", "theirs", "late")
    site.git(site.state, "push", "-q", "origin", "HEAD:main")
    site.until(lambda: "RequestStale" in [one["type"] for one in site.project("road")["conditions"]])
    road = site.project("road")
    assert (road["phase"], road["last_run"]) == ("Succeeded", 2), "merged late, it starts nothing"
    assert road["waiting_for"]["edit"] == "next: {stage: look, after: 2}", "and says what to write instead"


def test_a_remote_that_takes_no_proposals_is_told_and_stops_nothing(site: Site) -> None:
    hook = site.remote / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ncase "$1" in refs/heads/proposals/*) echo "no robots" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    gate(site)
    site.start()
    site.until(lambda: any(one["type"] == "ProposalsFailing" for one in site.status()["conditions"]))
    told = next(one["message"] for one in site.status()["conditions"] if one["type"] == "ProposalsFailing")
    assert "no robots" in told
    assert "write proposals: false in winslow.yaml" in told
    assert site.project("road")["phase"] == "AwaitingInput"

    site.write("projects/road.yaml", PROJECT + "next: {stage: count, after: 1}\n")
    site.until_project("road", phase="Succeeded")
