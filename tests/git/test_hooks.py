"""Hooks in real repositories: what the server refuses, what people who push or commit are told, and what passes."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.hook import What, hook
from reconciler.errors import BadInput
from tests.git.conftest import IDENTITY

FLOW = "stages:\n  - {name: detect, image: x}\n  - {name: report, image: x}\n"
ULM = "pipeline: flow\nname: Ulm\n"
BROKEN = "pipeline: flow\nprioritty: 3\n"
Push = Callable[..., tuple[bool, str]]


@pytest.fixture
def guarded(forge: Any) -> Any:
    """A server's repository with the hook, and main with one project in it."""
    forge.write("winslow.yaml", "version: 1\n")
    forge.write("pipelines/flow.yaml", FLOW)
    forge.save("projects/ulm.yaml", ULM)
    hook(What.INSTALL, forge.bare)
    return forge


def pushed(forge: Any, *arguments: str) -> tuple[bool, str]:
    """Was it taken, and what did the person who pushed read?"""
    ended = subprocess.run(
        ["git", "push", *arguments], cwd=forge.work, env=IDENTITY, capture_output=True, text=True, check=False
    )
    return ended.returncode == 0, ended.stderr


@pytest.fixture(params=["file", "http"])
def url(request: pytest.FixtureRequest, forge: Any) -> str:
    served: str = forge.url if request.param == "file" else request.getfixturevalue("served")
    return served


def test_a_broken_push_is_refused_where_people_push_and_its_correction_passes(guarded: Any, url: str) -> None:
    before = guarded.head("main")
    guarded.write("projects/b.yaml", BROKEN)
    guarded.commit()
    taken, said = pushed(guarded, url, "HEAD:main")
    assert not taken
    assert "remote: projects/b.yaml:2:1: unknown field 'prioritty'; did you mean 'priority'?" in said
    assert "remote: winslow: refused: main would get 1 error; correct what is named above" in said
    assert guarded.head("main") == before
    guarded.write("projects/b.yaml", BROKEN.replace("prioritty", "priority"))
    guarded.commit()
    taken, said = pushed(guarded, url, "HEAD:main")
    assert taken, said
    assert guarded.head("main") == guarded.git("rev-parse", "HEAD")


def test_what_is_pushed_is_read_out_of_quarantine_and_nothing_stays(guarded: Any) -> None:
    """Objects of a refused push are not in the repository: neither while we look nor later."""
    guarded.write("projects/b.yaml", BROKEN)
    commit = guarded.commit()
    assert not pushed(guarded, guarded.url, "HEAD:main")[0]
    with pytest.raises(subprocess.CalledProcessError):
        guarded.git("cat-file", "-e", commit, cwd=guarded.bare)
    assert list(guarded.bare.rglob("tmp_objdir*")) == []


def test_faults_from_before_refuse_nobody_elses_push(guarded: Any) -> None:
    hooks = guarded.bare / "hooks/pre-receive"
    kept = hooks.read_text()
    hooks.unlink()
    guarded.save("projects/old.yaml", BROKEN)
    hooks.write_text(kept)
    hooks.chmod(0o755)
    guarded.write("projects/ulm.yaml", ULM + "priority: 3\n")
    guarded.commit()
    taken, said = pushed(guarded, guarded.url, "HEAD:main")
    assert taken, said
    assert "old.yaml" not in said
    guarded.write("projects/old.yaml", BROKEN + "# touched\n")
    guarded.commit()
    taken, said = pushed(guarded, guarded.url, "HEAD:main")
    assert not taken, said


def test_only_the_branch_that_nodes_read_is_checked_but_a_push_is_taken_whole_or_not(guarded: Any) -> None:
    guarded.write("projects/b.yaml", BROKEN)
    guarded.commit()
    taken, said = pushed(guarded, guarded.url, "HEAD:draft", "HEAD:refs/tags/t")
    assert taken, said
    taken, said = pushed(guarded, guarded.url, "HEAD:other", "HEAD:main")
    assert not taken
    assert "nothing of this push was taken" in said
    with pytest.raises(subprocess.CalledProcessError):
        guarded.head("other")


def test_a_fault_that_two_good_files_make_together_is_refused(guarded: Any) -> None:
    guarded.write("pipelines/flow.yaml", FLOW.replace("report", "write"))
    guarded.write("projects/ulm.yaml", ULM + "next: {stage: report}\n")
    guarded.commit()
    taken, said = pushed(guarded, guarded.url, "HEAD:main")
    assert not taken
    assert "projects/ulm.yaml:3:15: the pipeline 'flow' has no stage 'report'" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([":main"], "refused: this deletes main, from which every node reads"),
        (["--force", "HEAD^:main"], "refused: this rewrites main"),
    ],
)
def test_main_neither_disappears_nor_goes_back(guarded: Any, arguments: list[str], words: str) -> None:
    head = guarded.save("projects/ulm.yaml", ULM + "priority: 3\n")
    taken, said = pushed(guarded, guarded.url, *arguments)
    assert not taken
    assert words in said
    assert guarded.head("main") == head


def test_what_a_push_means_is_said_and_refuses_nothing(guarded: Any) -> None:
    guarded.git("mv", "projects/ulm.yaml", "projects/neu-ulm.yaml")
    guarded.commit()
    taken, said = pushed(guarded, guarded.url, "HEAD:main")
    assert taken
    assert "this deletes 'ulm' and begins 'neu-ulm'" in said


def test_of_very_many_findings_the_errors_are_shown_and_the_rest_counted(guarded: Any) -> None:
    for number in range(60):
        guarded.write(f"projects/p{number:02}.yml", ULM)
    guarded.write("projects/z.yaml", BROKEN)
    guarded.commit()
    taken, said = pushed(guarded, guarded.url, "HEAD:main")
    assert not taken
    assert said.splitlines()[0].startswith("remote: projects/z.yaml:2:1: unknown field")
    assert said.count("nobody reads this file") == 49
    assert "winslow: and 11 more; to see them all: winslow validate --commits " in said


def test_the_hook_needs_no_home_no_configuration_and_no_network(guarded: Any) -> None:
    """As under a web server: the environment of these pushes holds a PATH and a name, and nothing else."""
    assert {name for name in IDENTITY if not name.startswith("GIT_")} == {"PATH"}
    assert pushed(guarded, guarded.url, "HEAD:main")[0]


# --- installing ----------------------------------------------------------------------------------


def test_installing_twice_is_installing_once(forge: Any) -> None:
    hook(What.INSTALL, forge.bare)
    first = (forge.bare / "hooks/pre-receive").read_text()
    hook(What.INSTALL, forge.bare, branch="desired")
    second = (forge.bare / "hooks/pre-receive").read_text()
    assert second == first.replace("--branch main", "--branch desired")
    assert os.access(forge.bare / "hooks/pre-receive", os.X_OK)
    program = second.splitlines()[-1].removeprefix("exec ").split(" ")[0]
    assert Path(program).is_absolute()


def test_somebody_elses_hook_stays_as_it_is(forge: Any) -> None:
    theirs = forge.bare / "hooks/pre-receive"
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(BadInput, match="somebody else's and stays as it is"):
        hook(What.INSTALL, forge.bare)
    assert theirs.read_text() == "#!/bin/sh\nexit 0\n"


def test_hooks_that_others_share_are_not_written(forge: Any, tmp_path: Path) -> None:
    forge.git("config", "core.hooksPath", str(tmp_path / "everybody"), cwd=forge.bare)
    with pytest.raises(BadInput, match="hooksPath leads git to"):
        hook(What.INSTALL, forge.bare)
    assert not (tmp_path / "everybody").exists()


def test_a_hook_goes_into_a_repository_and_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="in no git repository"):
        hook(What.INSTALL, tmp_path)


def test_a_branch_that_can_be_none_is_refused(forge: Any) -> None:
    """Such a hook would check nothing, and nobody would notice."""
    for name in ("main; true", "a b", "-u", "x\ny", ""):
        with pytest.raises(BadInput, match="is not a branch's name"):
            hook(What.INSTALL, forge.bare, name)
    assert not (forge.bare / "hooks/pre-receive").exists()


# --- committing ----------------------------------------------------------------------------------


def committed(forge: Any, *arguments: str, cwd: Path | None = None) -> tuple[bool, str]:
    ended = subprocess.run(
        ["git", "commit", "-q", "-m", "x", *arguments],
        cwd=cwd or forge.work,
        env=IDENTITY,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode == 0, ended.stderr


def test_a_commit_is_checked_as_it_is_staged(forge: Any) -> None:
    hook(What.INSTALL, forge.work)
    forge.write("winslow.yaml", "version: 1\n")
    forge.write("pipelines/flow.yaml", FLOW)
    forge.write("projects/ulm.yaml", BROKEN)
    forge.git("add", ".")
    forge.write("projects/ulm.yaml", ULM)
    made, said = committed(forge)
    assert not made, "the first commit, and the correction is not staged"
    assert said.startswith("projects/ulm.yaml:2:1: unknown field 'prioritty'")
    assert committed(forge, "-a") == (True, ""), "git's own index for -a is the one that counts"
    forge.write("projects/ulm.yaml", BROKEN)
    assert committed(forge, "--allow-empty") == (True, ""), "what is not staged is nobody's business"
    assert not committed(forge, "projects/ulm.yaml")[0]


def test_a_commit_in_a_second_work_tree_is_checked_there(forge: Any, tmp_path: Path) -> None:
    forge.write("pipelines/flow.yaml", FLOW)
    forge.commit()
    hook(What.INSTALL, forge.work)
    second = tmp_path / "second"
    forge.git("worktree", "add", "-q", str(second))
    (second / "projects").mkdir()
    (second / "projects/ulm.yaml").write_text(BROKEN)
    forge.git("add", ".", cwd=second)
    made, said = committed(forge, cwd=second)
    assert not made
    assert "projects/ulm.yaml:2:1" in said
