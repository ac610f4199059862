"""The git server is lost, main is force-pushed, the branch observed is gone."""

import shutil

import pytest

from tests.operations.conftest import Drill


@pytest.mark.timeout(600)
def test_a_lost_git_server_is_filled_from_a_nodes_clone(drill: Drill) -> None:
    drill.begin("crossing")
    drill.until("crossing", phase="Succeeded")
    drill.until_published("crossing", "Succeeded")
    main, observed = (drill.site.git(drill.site.remote, "rev-parse", branch) for branch in ("main", "observed"))
    shutil.rmtree(drill.site.remote)
    drill.until_true(lambda: "SourceUnreachable" in drill.conditions())
    drill.site.git(drill.site.root, "init", "-q", "--bare", "-b", "main", drill.site.remote.name)
    pushed = drill.site.remote / "hooks/post-receive"
    pushed.write_text("#!/bin/sh\ngit for-each-ref --format='%(refname)' | xargs echo >> pushed\n")
    pushed.chmod(0o755)

    drill.follow("The git server is lost")

    held = [set(line.split()) for line in (drill.site.remote / "pushed").read_text().splitlines()]
    assert all("refs/heads/observed" in refs for refs in held), "a node that finds main alone drops its copy"
    assert drill.site.git(drill.site.remote, "rev-parse", "main") == main
    assert observed.strip() in drill.site.git(drill.site.remote, "log", "--format=%H", "observed")
    drill.site.write("projects/ulm.yaml", "pipeline: flow\n")
    drill.until("ulm", phase="Succeeded")
    assert [run["run"] for run in drill.project("crossing")["runs"]] == [1, 2, 3]
    drill.until_published("ulm", "Succeeded")


@pytest.mark.timeout(600)
def test_a_forced_push_is_held_until_it_is_accepted(drill: Drill) -> None:
    drill.begin("crossing", nodes=1)
    drill.until("crossing", phase="Succeeded")
    site = drill.site
    site.state.joinpath("projects/crossing.yaml").write_text("pipeline: flow\nnext: {stage: report, after: 3}\n")
    site.git(site.state, "add", "-A")
    site.git(site.state, "commit", "-q", "--amend", "-m", "Begin anew")
    site.git(site.state, "push", "-q", "--force", "origin", "HEAD:main")
    drill.until_true(lambda: "SourceRewritten" in drill.conditions())

    said = drill.follow("main was force-pushed")

    assert "accepted: every node goes on" in said
    drill.until_true(lambda: [run["run"] for run in drill.project("crossing")["runs"]][3:] == [4])
    drill.until("crossing", phase="Succeeded")


@pytest.mark.timeout(600)
def test_a_branch_observed_that_is_gone_is_written_again(drill: Drill) -> None:
    drill.begin("crossing")
    drill.until("crossing", phase="Succeeded")
    drill.until_published("crossing", "Succeeded")
    drill.site.git(drill.site.state, "push", "-q", "origin", "--delete", "observed")

    drill.follow("The branch observed is gone or was changed")

    drill.until_published("crossing", "Succeeded")
    assert "LedgerBehind" not in drill.conditions()
