"""Somebody force-pushes main: work goes on from the old commit until a person says which history is meant."""

from typing import Any


def condition(site: Any, kind: str) -> str:
    return next((one["message"] for one in site.status()["conditions"] if one["type"] == kind), "")


def head(site: Any) -> str:
    found: str = site.git(site.state, "rev-parse", "HEAD").strip()
    return found


def accept(site: Any, *arguments: str) -> Any:
    return site("--config", site.root / "alpha.yaml", "accept-rewrite", *arguments)


def begin(site: Any) -> str:
    """A project that has run; the head of main."""
    site.stage("quick", "echo hello")
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    site.start()
    site.until_project("ulm", phase="Succeeded")
    return head(site)


def rewrite(site: Any, message: str = "Begin anew") -> str:
    """Another commit in place of the last one, with another stage to run; its id."""
    site.state.joinpath("projects/ulm.yaml").write_text("pipeline: quick\nnext: {stage: work, after: 1}\n")
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


def test_a_rewritten_main_is_held_until_somebody_accepts_it(site: Any) -> None:
    old = begin(site)
    new = rewrite(site)
    until_held(site, old, new)
    site.until(lambda: "SourceRewritten" in site.observed("README.md"))
    assert site.project("ulm")["last_run"] == 1

    ended = accept(site)
    assert ended.code == 2, "nobody can be asked here, and nothing was named"
    for word in (f"held      {old[:12]}", f"new head  {new[:12]}", "Begin anew", "alpha", "~ projects/ulm.yaml"):
        assert word in ended.out, ended.out
    assert f"winslow accept-rewrite {new[:12]}" in ended.err
    wrong = accept(site, old[:7])
    assert (wrong.code, new[:12] in wrong.err) == (2, True)

    ended = accept(site, new[:7])
    assert ended.code == 0, ended.err
    assert f"every node goes on from {new[:12]}" in ended.out
    site.until_project("ulm", phase="Succeeded", last_run=2)
    assert site.status()["commit"] == new
    assert condition(site, "SourceRewritten") == ""
    site.until(lambda: f"commit: {new}" in site.observed("projects/ulm/runs/0002-work.yaml"))
    again = accept(site)
    assert (again.code, "nothing to accept" in again.out) == (0, True)


def test_a_node_that_comes_later_and_one_that_was_off_follow(site: Any) -> None:
    begin(site)
    beta = site.start("beta")
    site.until(lambda: "observed_published" in "".join(node.said for node in site.nodes))
    beta.end()
    new = rewrite(site)
    assert accept(site, new).code == 0
    site.until_project("ulm", phase="Succeeded", last_run=2)
    site.nodes[0].end()
    site.start("beta")
    site.start("gamma")
    site.write("projects/bonn.yaml", "pipeline: quick\n")
    site.until_project("bonn", phase="Succeeded")
    site.write("projects/ulm.yaml", "pipeline: quick\nnext: {stage: work, after: 2}\n")
    site.until_project("ulm", phase="Succeeded", last_run=3)
    for node in site.nodes[1:]:
        assert "SourceRewritten" not in node.said


def test_merging_the_old_commit_goes_on_without_a_command(site: Any) -> None:
    old = begin(site)
    new = rewrite(site)
    until_held(site, old, new)
    site.git(site.state, "merge", "-q", "-s", "ours", "-m", "Keep both", old)
    site.git(site.state, "push", "-q", "origin", "HEAD:main")
    site.until_project("ulm", phase="Succeeded", last_run=2)
    assert condition(site, "SourceRewritten") == ""
    assert "nothing to accept" in accept(site).out


def test_projects_that_the_new_history_lacks_are_named_before(site: Any) -> None:
    begin(site)
    site.write("projects/bonn.yaml", "pipeline: quick\n")
    site.until_project("bonn", phase="Succeeded")
    site.git(site.state, "reset", "-q", "--hard", "HEAD^")
    site.git(site.state, "push", "-q", "--force", "origin", "HEAD:main")
    site.until(lambda: "SourceRewritten" in site.nodes[0].said)
    shown = accept(site)
    assert "- projects/bonn.yaml" in shown.out
    assert "projects that would count as deleted: bonn" in shown.out
    assert accept(site, head(site)).code == 0
    site.until(lambda: site.status()["commit"] == head(site))
    site.write("projects/ulm.yaml", "pipeline: quick\nnext: {stage: work, after: 1}\n")
    site.until_project("ulm", phase="Succeeded", last_run=2)


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
