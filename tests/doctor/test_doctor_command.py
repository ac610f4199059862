"""``winslow doctor`` as a person calls it, on a small site."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.cli.git import git

PATIENCE = 120


@dataclass
class Place:
    folder: Path

    @property
    def share(self) -> Path:
        return self.folder / "share"

    def command(self, *arguments: str) -> list[str]:
        config = str(self.folder / "node.yaml")
        return [sys.executable, "-m", "reconciler.cli.main", "doctor", "--config", config, *arguments]

    def doctor(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=self.folder
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A share, a state repository with one commit, and a node.yaml without an engine."""
    SharedDirectory.create(tmp_path / "share")
    bare, work = tmp_path / "state.git", tmp_path / "work"
    bare.mkdir()
    work.mkdir()
    git(bare, "init", "--quiet", "--bare", "-b", "main")
    git(work, "init", "--quiet", "-b", "main")
    (work / "winslow.yaml").write_text("version: 1\n")
    git(work, "add", ".")
    git(work, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "Begin")
    git(work, "push", "--quiet", str(bare), "main")
    (tmp_path / "node.yaml").write_text(
        f"version: 1\nname: lab-1\nstate: {{url: {bare}}}\nshare: {tmp_path / 'share'}\n"
        f"local: {tmp_path / 'local'}\nruntime: process\n"
    )
    return Place(tmp_path)


def test_a_site_that_is_well_passes_and_is_left_as_it_was(place: Place) -> None:
    ended = place.doctor()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "lab-1 can work" in ended.stdout
    for area in ("git: ", "share: ", "node: ", "engine: ", "gpu: "):
        assert area in ended.stdout
    assert list((place.share / "tmp").iterdir()) == []


def test_a_share_that_is_none_is_a_problem_with_its_remedy(place: Place) -> None:
    (place.share / "winslow.json").unlink()
    ended = place.doctor()
    assert ended.returncode == 1
    assert "PROBLEM" in ended.stdout
    assert "winslow init --share" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_remote_that_is_gone_is_a_problem(place: Place) -> None:
    (place.folder / "state.git").rename(place.folder / "elsewhere.git")
    ended = place.doctor("--output", "json")
    found = json.loads(ended.stdout)
    assert ended.returncode == 1
    assert found["ok"] is False
    assert any(one["area"] == "git" and one["level"] == "problem" for one in found["findings"])


def test_a_hook_that_refuses_pushes_is_not_run_by_the_examination(place: Place) -> None:
    """It pushes nothing: the branch observed is not made by looking."""
    place.doctor()
    assert git(place.folder / "state.git", "for-each-ref", "refs/heads/observed") == ""


def test_two_sides_try_the_share_together(place: Place) -> None:
    """Both see the same; on one machine they say that this shows nothing about a server."""
    with subprocess.Popen(
        place.command("--peer"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place.folder
    ) as first:
        try:
            assert first.stderr is not None
            code = re.search(r"--join (\w+)", first.stderr.readline())
            assert code is not None
            second = place.doctor("--join", code[1])
            told, _ = first.communicate(timeout=PATIENCE)
        finally:
            first.kill()
    assert (first.returncode, second.returncode) == (0, 0), told + second.stdout + second.stderr
    for side in (told, second.stdout):
        assert "one winner each" in side
        assert "sees a heartbeat after" in side
        assert "keeps this one out" in side
        assert "on one machine" in side
    assert list((place.share / "tmp").iterdir()) == []


def test_who_joins_nobody_is_told_so(place: Place) -> None:
    ended = place.doctor("--join", "abc123")
    assert ended.returncode == 2 or "nobody waits" in ended.stdout
    assert "nobody waits under abc123" in ended.stdout + ended.stderr


def test_one_side_is_one_side(place: Place) -> None:
    assert place.doctor("--peer", "--join", "abc123").returncode == 2


def test_a_share_that_lacks_what_was_published_is_a_problem(place: Place) -> None:
    """Put back from a backup, say: every node holds still, so the doctor must not call it well."""
    work = place.folder / "work"
    git(work, "checkout", "--quiet", "--orphan", "observed")
    (work / "projects/ulm").mkdir(parents=True)
    (work / "projects/ulm/status.yaml").write_text("project: ulm\nrecord: 3\ntoken: 0123456789abcdef\n")
    git(work, "add", ".")
    git(work, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "Update")
    git(work, "push", "--quiet", str(place.folder / "state.git"), "observed")
    ended = place.doctor()
    assert ended.returncode == 1, ended.stdout
    assert "winslow rebuild" in ended.stdout
