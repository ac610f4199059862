"""Somebody force-pushes main: work goes on from the old commit until a person says which history is meant."""

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

WINSLOW = Path(sys.executable).with_name("winslow")


def condition(site: Any, kind: str) -> str:
    return next((one["message"] for one in site.status()["conditions"] if one["type"] == kind), "")


def head(site: Any) -> str:
    found: str = site.git(site.state, "rev-parse", "HEAD").strip()
    return found


def accept(site: Any, *arguments: str) -> Any:
    return site("--config", site.root / "alpha.yaml", "accept-rewrite", *arguments)


def answer(site: Any, key: str) -> tuple[int, str]:
    """The command on a terminal, and the answer to its question."""
    mine, its = pty.openpty()
    command = [WINSLOW, "--config", site.root / "alpha.yaml", "accept-rewrite"]
    process = subprocess.Popen(command, env=site.environment, stdin=its, stdout=its, stderr=its)
    os.close(its)
    said = b""
    with os.fdopen(mine, "r+b", buffering=0) as terminal:
        while b"[y/N]" not in said:
            said += terminal.read(4096)
        terminal.write(f"{key}\n".encode())
        with contextlib.suppress(OSError):  # EIO: the other side has ended
            while more := terminal.read(4096):
                said += more
    return process.wait(30), said.decode()


def begin(site: Any) -> str:
    """A project that has run; the head of main."""
    site.stage("quick", "echo hello")
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    site.start()
    site.until_project("ulm", phase="Succeeded")
    return head(site)


def rewrite(site: Any, message: str = "Begin anew", after: int = 1) -> str:
    """Another commit in place of the last one, with another stage to run; its id."""
    site.state.joinpath("projects/ulm.yaml").write_text(f"pipeline: quick\nnext: {{stage: work, after: {after}}}\n")
    site.git(site.state, "add", "-A")
    site.git(site.state, "commit", "-q", "--amend", "-m", message)
    site.git(site.state, "push", "-q", "--force", "origin", "HEAD:main")
    return head(site)


def until_held(site: Any, old: str, new: str) -> str:
    site.until(lambda: new[:12] in condition(site, "SourceRewritten"))
    said = condition(site, "SourceRewritten")
    assert f"winslow accept-rewrite {new[:12]}" in said
    assert f"git merge -s ours {old[:12]}" in said
    return said


def test_a_rewritten_main_is_held_until_somebody_accepts_or_merges_it(site: Any) -> None:
    old = begin(site)
    new = rewrite(site)
    until_held(site, old, new)
    site.until(lambda: "SourceRewritten" in site.observed("README.md"))
    assert site.project("ulm")["last_run"] == 1
    for command in ("status", "explain"):  # asked about one project: why its pushed edit has no effect
        assert "! SourceRewritten: " in site("--config", site.root / "alpha.yaml", command, "ulm").out

    site.until(lambda: "nodes: alpha" in accept(site).out)  # its next heartbeat says what it holds
    ended = accept(site)
    assert ended.code == 2, "nobody can be asked here, and nothing was named"
    for word in (f"held      {old[:12]}", f"new head  {new[:12]}", "Begin anew", "~ projects/ulm.yaml"):
        assert word in ended.out, ended.out
    assert f"winslow accept-rewrite {new[:12]}" in ended.err
    wrong = accept(site, old[:7])
    assert (wrong.code, new[:12] in wrong.err) == (2, True)
    code, said = answer(site, "n")
    assert (code, "nothing was accepted" in said) == (1, True), said
    code, said = answer(site, "y")
    assert (code, f"every node goes on from {new[:12]}" in said) == (0, True), said
    site.until_project("ulm", phase="Succeeded", last_run=2)
    assert condition(site, "SourceRewritten") == ""
    site.until(lambda: f"commit: {new}" in site.observed("projects/ulm/runs/0002-work.yaml"))
    again = accept(site)
    assert (again.code, "nothing to accept" in again.out) == (0, True)

    newer = rewrite(site, "Once more", after=2)
    until_held(site, new, newer)
    site.git(site.state, "merge", "-q", "-s", "ours", "-m", "Keep both", new)
    site.git(site.state, "push", "-q", "origin", "HEAD:main")
    site.until_project("ulm", phase="Succeeded", last_run=3)
    assert condition(site, "SourceRewritten") == ""


def test_nodes_that_come_later_follow_and_projects_that_would_go_are_named_before(site: Any) -> None:
    begin(site)
    site.write("projects/bonn.yaml", "pipeline: quick\n")
    site.until_project("bonn", phase="Succeeded")
    site.start("beta").end()
    site.git(site.state, "reset", "-q", "--hard", "HEAD^")
    new = rewrite(site)
    named = accept(site, new[:7])
    assert (named.code, f"every node goes on from {new[:12]}" in named.out) == (0, True), named.err
    assert "- projects/bonn.yaml" in named.out
    assert "projects that would count as deleted: bonn" in named.out
    site.until_project("ulm", phase="Succeeded", last_run=2)

    site.nodes[0].end()
    site.start("beta")
    site.start("gamma")
    site.write("projects/ulm.yaml", "pipeline: quick\nnext: {stage: work, after: 2}\n")
    site.until_project("ulm", phase="Succeeded", last_run=3)
    assert not any("SourceRewritten" in node.said for node in site.nodes[-2:])


def test_a_remote_or_a_share_that_is_away_is_said(site: Any) -> None:
    site.write("projects/ulm.yaml", "pipeline: none\n")
    site.config()
    site.remote.rename(site.root / "away.git")
    ended = accept(site)
    assert (ended.code, "check state.url" in ended.err) == (3, True)
    site.share.rename(site.root / "away")
    ended = accept(site)
    assert (ended.code, "is the share mounted there" in ended.err) == (3, True)
    assert accept(site, "main").code == 2
