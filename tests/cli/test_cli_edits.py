"""How an edit reaches the remote from any clone: shown, checked, pushed, and nothing changed if that fails."""

import json
import os
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from reconciler.cli.git import attempt, git
from reconciler.errors import Transient
from tests.cli.conftest import write_script

PROJECT = """\
# Flight 07: fog until 9:30
name:   'Ulm crossing, flight 07'   # as on the map
pipeline: flow
environment: { THRESHOLD: "0.45",   A: x }
"""
FILE = "projects/ulm/flight-07.yaml"


@pytest.fixture(autouse=True)
def project(desks: Any) -> None:
    ada, ben = desks
    ada.push(FILE, PROJECT)
    ben.git("pull", "--quiet", "origin", "main")


def test_an_edit_is_shown_committed_in_the_persons_name_and_pushed(desks: Any, remote: Any) -> None:
    ada, _ = desks
    ended = ada("set", "flight-07", "THRESHOLD=0.5")
    assert ended.code == 0
    assert remote.text(FILE) == PROJECT.replace("0.45", "0.5")
    assert (
        remote.git("log", "-1", "--format=%an <%ae>: %s", "main") == "Ada <ada@example.org>: flight-07: set THRESHOLD"
    )
    assert '-environment: { THRESHOLD: "0.45",   A: x }\n+environment: { THRESHOLD: "0.5",   A: x }\n' in ended.out
    assert "nothing starts by it; to run a stage with it: winslow redo flight-07 STAGE" in ended.out


def test_the_clone_follows_what_was_pushed(desks: Any, remote: Any) -> None:
    ada, _ = desks
    ada("pause", "flight-07")
    assert ada.git("rev-parse", "HEAD") == remote.git("rev-parse", "main")
    assert ada.git("status", "--porcelain") == ""
    assert "paused: true" in (ada.clone / FILE).read_text()


def test_line_ends_and_a_missing_last_one_stay(desks: Any, remote: Any) -> None:
    ada, _ = desks
    before = PROJECT.replace("\n", "\r\n").removesuffix("\r\n")
    ada.push(FILE, before)
    assert ada("pause", "flight-07").code == 0
    assert remote.text(FILE) == before + "\r\npaused: true"


def test_a_file_that_git_converts_on_checkout_keeps_its_line_ends_in_the_repository(desks: Any, remote: Any) -> None:
    ada, _ = desks
    ada.git("config", "core.autocrlf", "true")
    assert ada("pause", "flight-07").code == 0
    assert remote.text(FILE) == PROJECT + "paused: true\n"


def test_an_executable_file_stays_one(desks: Any, remote: Any) -> None:
    ada, _ = desks
    (ada.clone / FILE).chmod(0o755)
    ada.push(FILE, PROJECT + "priority: 1\n")
    ada("pause", "flight-07")
    assert remote.git("ls-tree", "main", FILE).startswith("100755")


def everything(clone: Path, remote: Path) -> dict[str, str]:
    """All refs of both sides, and the clone's files and index."""
    return {
        "refs": git(remote, "for-each-ref"),
        "own": git(clone, "for-each-ref", "refs/heads"),
        "status": git(clone, "status", "--porcelain=v2", "--branch"),
        "diff": git(clone, "diff", "HEAD"),
    }


def test_a_dry_run_shows_the_change_and_makes_none(desks: Any, remote: Any) -> None:
    ada, _ = desks
    before = everything(ada.clone, remote.path)
    ended = ada("pause", "flight-07", "--dry-run")
    assert "+paused: true" in ended.out
    assert ended.code == 0
    assert everything(ada.clone, remote.path) == before


def test_what_is_said_already_makes_no_commit(desks: Any, remote: Any) -> None:
    ada, _ = desks
    before = everything(ada.clone, remote.path)
    ended = ada("set", "flight-07", "A=x")
    assert ended.out == f"nothing to change: {FILE} says so already\n"
    assert everything(ada.clone, remote.path) == before


def test_an_edit_that_would_break_the_file_is_refused_with_its_place(desks: Any, remote: Any) -> None:
    ada, _ = desks
    before = everything(ada.clone, remote.path)
    ended = ada("set", "flight-07", "WINSLOW_RUN=1")
    assert ended.code == 2
    assert f"{FILE}:4:" in ended.err
    assert "nothing was changed" in ended.err
    assert everything(ada.clone, remote.path) == before


def test_a_name_that_does_not_exist_is_refused_with_the_nearest(desks: Any) -> None:
    ada, _ = desks
    assert "did you mean 'flight-07'?" in ada("pause", "flight-7").err
    assert "there is no pipelines/flew.yaml; did you mean 'flow'?" in ada("pipeline", "flight-07", "flew").err


def test_not_all_of_many_projects_are_told(desks: Any) -> None:
    ada, _ = desks
    for number in range(30):
        (ada.clone / f"projects/x{number:02}.yaml").write_text("pipeline: flow\n")
    ada.git("add", "-A")
    ada.push("winslow.yaml", "version: 1\n\n")
    ada.git("commit", "-q", "-m", "Many")
    ada.git("push", "-q", "origin", "HEAD:main")
    told = ada("pause", "somewhere-else").err
    assert "there are: flight-07, x00, " in told
    assert told.endswith(" x18 and 11 more\n")


def test_faults_elsewhere_do_not_keep_people_from_pausing(desks: Any, remote: Any) -> None:
    """Only what the edit makes worse counts."""
    ada, _ = desks
    ada.push("projects/broken.yaml", "pipeline: [\n")
    ada.push(FILE, PROJECT + "stages: {detct: {timeout: 1h}}\n")
    assert ada("pause", "flight-07").code == 0
    assert remote.text(FILE).endswith("paused: true\n")


def test_a_broken_file_is_not_edited(desks: Any) -> None:
    ada, _ = desks
    ada.push(FILE, PROJECT + "prority: 1\n")
    ended = ada("pause", "flight-07")
    assert ended.code == 2
    assert "unknown field 'prority'" in ended.err


def test_uncommitted_work_and_unpushed_commits_stay_as_they_are(desks: Any, remote: Any) -> None:
    ada, _ = desks
    (ada.clone / "notes.txt").write_text("mine")
    ada.git("add", "notes.txt")
    ada.git("commit", "-q", "-m", "Not for others yet")
    (ada.clone / FILE).write_text(PROJECT + "# thinking\n")
    before = {name: value for name, value in everything(ada.clone, remote.path).items() if name in ("own", "diff")}
    ended = ada("pause", "flight-07")
    assert ended.code == 0
    assert remote.text(FILE) == PROJECT + "paused: true\n"
    assert "your clone is unchanged (it has changes or commits of its own); git pull brings it up to date" in ended.out
    after = everything(ada.clone, remote.path)
    assert {name: after[name] for name in before} == before


def test_uncommitted_work_in_other_files_is_no_obstacle(desks: Any) -> None:
    ada, _ = desks
    (ada.clone / "pipelines/flow.yaml").write_text("half done")
    ended = ada("pause", "flight-07")
    assert "unchanged" not in ended.out
    assert "paused: true" in (ada.clone / FILE).read_text()
    assert (ada.clone / "pipelines/flow.yaml").read_text() == "half done"


@pytest.mark.parametrize("where", ["branch", "detached"])
def test_it_works_from_any_branch_and_leaves_it(desks: Any, remote: Any, where: str) -> None:
    ada, _ = desks
    ada.git("checkout", "-q", *(["-b", "feature"] if where == "branch" else ["--detach"]))
    head = ada.git("rev-parse", "HEAD")
    ended = ada("pause", "flight-07")
    assert remote.text(FILE) == PROJECT + "paused: true\n"
    assert "your clone is unchanged (it stands on" in ended.out
    assert ada.git("rev-parse", "HEAD") == head


def test_it_works_on_what_the_remote_has_not_on_an_old_clone(desks: Any, remote: Any) -> None:
    ada, ben = desks
    ben.push(FILE, PROJECT + "priority: 3\n")
    assert ada("pause", "flight-07").code == 0
    assert remote.text(FILE) == PROJECT + "priority: 3\npaused: true\n"


def test_it_works_from_a_folder_below_and_from_elsewhere(desks: Any, remote: Any, tmp_path: Path) -> None:
    ada, ben = desks
    assert ada("pause", "flight-07", cwd=ada.clone / "projects/ulm").code == 0
    assert ada("resume", "flight-07", "--repository", ben.clone, cwd=tmp_path).code == 0
    assert remote.subjects()[:2] == ["flight-07: resume", "flight-07: pause"]


def test_a_linked_work_tree_and_a_folder_with_any_name_will_do(desks: Any, remote: Any, tmp_path: Path) -> None:
    ada, _ = desks
    path = "projects/München, Süd/b.yaml"
    ada.push(path, PROJECT)
    ada.git("worktree", "add", "-q", "-b", "other", tmp_path / "linked", "origin/main")
    ended = ada("pause", "b", cwd=tmp_path / "linked")
    assert ended.code == 0
    assert f"+++ b/{path}" in ended.out
    assert remote.text(path) == PROJECT + "paused: true\n"
    assert ada("delete", "b", cwd=tmp_path / "linked").code == 0
    assert ada("restore", "b", cwd=tmp_path / "linked").code == 0
    assert remote.text(path) == PROJECT + "paused: true\n"


def test_a_bare_clone_will_do(desks: Any, remote: Any, tmp_path: Path) -> None:
    ada, _ = desks
    git(tmp_path, "clone", "--quiet", "--bare", remote.path.as_uri(), "bare")
    git(tmp_path / "bare", "config", "user.name", "B")
    git(tmp_path / "bare", "config", "user.email", "b@b")
    ended = ada("pause", "flight-07", "--repository", tmp_path / "bare", cwd=tmp_path)
    assert ended.code == 0
    assert ada("delete", "flight-07", cwd=tmp_path / "bare").code == 0
    assert FILE not in remote.git("ls-tree", "-r", "--name-only", "main").splitlines()
    assert ada("restore", "flight-07", cwd=tmp_path / "bare").code == 0
    assert remote.text(FILE) == PROJECT + "paused: true\n"


def test_a_clone_that_belongs_to_somebody_else_is_said_so(desks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, _ = desks
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    ended = ada("pause", "flight-07")
    assert ended.code == 2
    assert f"git config --global --add safe.directory {ada.clone}" in ended.err


def test_a_remote_that_is_named_like_an_option_is_none(desks: Any, tmp_path: Path) -> None:
    """Git refuses such names, yet a file of settings that came from elsewhere may hold one."""
    ada, _ = desks
    ada.git("config", "--rename-section", "remote.origin", f"remote.--upload-pack={tmp_path}/evil")
    write_script(tmp_path / "evil", f"touch {tmp_path}/done")
    ended = ada("pause", "flight-07")
    assert ended.code == 2
    assert "has no remote 'origin'" in ended.err
    assert not (tmp_path / "done").exists()


def test_another_branch_that_nodes_follow_is_named(desks: Any, remote: Any) -> None:
    ada, _ = desks
    remote.git("branch", "lab", "main")
    assert ada("pause", "flight-07", "--branch", "lab").code == 0
    assert remote.text(FILE) == PROJECT
    assert remote.text(FILE, "lab") == PROJECT + "paused: true\n"
    assert "has no branch 'lob' (it has: lab, main)" in ada("pause", "flight-07", "--branch", "lob").err


def test_where_there_is_no_main_the_remotes_default_branch_counts(desks: Any, remote: Any) -> None:
    ada, _ = desks
    remote.git("branch", "-m", "main", "trunk")
    assert ada("pause", "flight-07").code == 0
    assert remote.text(FILE, "trunk") == PROJECT + "paused: true\n"


def test_the_message_can_be_ones_own(desks: Any, remote: Any) -> None:
    ada, _ = desks
    ada("pause", "flight-07", "-m", "Wait for the new camera\n\nIt comes on Monday.")
    assert remote.git("log", "-1", "--format=%B", "main") == "Wait for the new camera\n\nIt comes on Monday."


@pytest.mark.parametrize("blank", ["", " ", "\n\n"])
def test_a_blank_message_is_none(desks: Any, remote: Any, blank: str) -> None:
    ada, _ = desks
    ada("pause", "flight-07", "-m", blank)
    assert remote.subjects()[0] == "flight-07: pause"


def test_what_is_no_clone_is_told_apart(desks: Any, tmp_path: Path) -> None:
    ada, _ = desks
    plain = tmp_path / "plain"
    plain.mkdir()
    assert "is in no clone of a state repository" in ada("pause", "flight-07", cwd=plain).err
    git(plain, "init", "-q")
    assert "git remote add origin URL" in ada("pause", "flight-07", cwd=plain).err
    git(plain, "remote", "add", "origin", (tmp_path / "nowhere.git").as_uri())
    assert ada("pause", "flight-07", cwd=plain).code == 3


def test_a_repository_of_something_else_is_left_alone(desks: Any, remote: Any) -> None:
    ada, _ = desks
    tree = remote.git("mktree")
    remote.git("update-ref", "refs/heads/main", remote.git(*IDENTITY, "commit-tree", "-m", "x", tree))
    assert "is no state repository" in ada("new", "a", "--pipeline", "flow").err


IDENTITY = ("-c", "user.name=x", "-c", "user.email=x@x")


def test_without_a_name_git_is_told_one_first(desks: Any) -> None:
    ada, _ = desks
    ada.git("config", "--unset", "user.name")
    ada.git("config", "--unset", "user.email")
    ada.git("config", "user.useConfigOnly", "true")
    ended = ada("pause", "flight-07")
    assert ended.code == 2
    assert "git config --global user.name" in ended.err


# --- somebody else is there, too ---


def race(desk: Any, script: str) -> None:
    """Runs once between this clone's look at the remote and its push."""
    hook = desk.clone / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nrm "$0"\nunset $(git rev-parse --local-env-vars)\n{script}\n')
    hook.chmod(0o755)


def test_an_edit_goes_onto_what_somebody_pushed_meanwhile(desks: Any, remote: Any) -> None:
    ada, ben = desks
    (ben.clone / "projects/other.yaml").write_text("pipeline: flow\n")
    ben.git("add", "projects/other.yaml")
    ben.git("commit", "-q", "-m", "Ben was faster")
    race(ada, f"git -C {ben.clone} push -q origin HEAD:main")
    ended = ada("pause", "flight-07")
    assert ended.code == 0
    assert remote.subjects()[:2] == ["flight-07: pause", "Ben was faster"]
    assert remote.text(FILE) == PROJECT + "paused: true\n"
    assert remote.text("projects/other.yaml") == "pipeline: flow\n"
    assert ada.git("rev-parse", "HEAD") == remote.git("rev-parse", "main")


def test_another_command_in_the_same_clone_is_waited_for(desks: Any, remote: Any) -> None:
    ada, ben = desks
    ben.push("projects/b.yaml", PROJECT)
    lock = ada.clone / ".git/refs/remotes/origin/main.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    timer = Timer(1.0, lock.unlink)
    timer.start()
    ended = ada("pause", "flight-07")
    timer.join()
    assert (ended.code, ended.err) == (0, "")
    assert remote.text(FILE) == PROJECT + "paused: true\n"


def test_a_tag_that_is_named_like_the_branch_confuses_nobody(desks: Any) -> None:
    ada, _ = desks
    ada.git("tag", "main")
    assert "your clone is unchanged" not in ada("pause", "flight-07").out


def test_somebody_elses_edit_of_the_same_file_is_a_conflict_that_changes_nothing(desks: Any, remote: Any) -> None:
    ada, ben = desks
    (ben.clone / FILE).write_text(PROJECT + "priority: 1\n")
    ben.git("commit", "-q", "-a", "-m", "Ben was faster")
    race(ada, f"git -C {ben.clone} push -q origin HEAD:main")
    ended = ada("pause", "flight-07")
    assert ended.code == 1
    assert f"somebody else changed {FILE} just now; nothing was changed" in ended.err
    assert remote.text(FILE) == PROJECT + "priority: 1\n"
    assert ada.git("status", "--porcelain") == ""


def test_what_somebody_pushed_meanwhile_counts_in_the_check(desks: Any, remote: Any) -> None:
    """Both begin a project of the same name, in different folders."""
    ada, ben = desks
    (ben.clone / "projects/b.yaml").write_text("pipeline: flow\n")
    ben.git("add", "projects/b.yaml")
    ben.git("commit", "-q", "-m", "Ben was faster")
    race(ada, f"git -C {ben.clone} push -q origin HEAD:main")
    ended = ada("new", "folder/b", "--pipeline", "flow")
    assert ended.code == 2
    assert "the project 'b' exists twice" in ended.err
    assert remote.subjects()[0] == "Ben was faster"


def test_an_answer_that_is_lost_on_its_way_is_no_refusal(desks: Any, remote: Any, tmp_path: Path) -> None:
    ada, _ = desks
    script = tmp_path / "receive"
    script.write_text('#!/bin/sh\ngit-receive-pack "$@"\nexit 1\n')
    script.chmod(0o755)
    ada.git("config", "remote.origin.receivepack", str(script))
    assert ada("pause", "flight-07").code == 0
    assert remote.subjects().count("flight-07: pause") == 1


# --- the remote says no ---


def test_a_remote_that_does_not_answer_leaves_nobody_in_doubt(desks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, _ = desks

    def mute(directory: Path, *arguments: str, **options: Any) -> tuple[int, str, str]:
        if arguments[0] == "push":
            raise Transient("git push gave no answer within 60 seconds")
        return attempt(directory, *arguments, **options)

    monkeypatch.setattr("reconciler.cli.edits.clone.attempt", mute)
    ended = ada("pause", "flight-07")
    assert ended.code == 3
    assert "no answer within 60 seconds; what was pushed may still be taken: look at main there" in ended.err


@pytest.fixture
def protected(remote: Any) -> None:
    remote.hook("update", '[ "$1" != refs/heads/main ] || { echo "main is protected: ask Eva \033[31m"; exit 1; }')


@pytest.mark.usefixtures("protected")
def test_a_remotes_refusal_is_told_in_its_words_with_the_way_out(desks: Any, remote: Any) -> None:
    ada, _ = desks
    before = everything(ada.clone, remote.path)
    ended = ada("pause", "flight-07")
    assert ended.code == 1
    assert "main is protected: ask Eva" in ended.err
    assert "\x1b" not in ended.err
    assert "--merge-request" in ended.err
    assert everything(ada.clone, remote.path) == before


def test_what_a_remote_says_before_it_fails_does_not_drive_the_terminal(desks: Any, tmp_path: Path) -> None:
    ada, _ = desks
    write_script(tmp_path / "broken", "printf 'gone \\033]0;title\\007\\033[2J to lunch\\n' >&2; exit 1")
    ada.git("config", "remote.origin.uploadpack", str(tmp_path / "broken"))
    ended = ada("pause", "flight-07")
    assert ended.code == 3
    assert "to lunch" in ended.err
    assert "\x1b" not in ended.err
    assert "\x07" not in ended.err


@pytest.mark.usefixtures("protected")
def test_a_merge_request_goes_to_a_branch_of_its_own(desks: Any, remote: Any) -> None:
    ada, _ = desks
    ended = ada("set", "flight-07", "A=z", "--merge-request")
    assert ended.code == 0
    branch = next(name for name in remote.git("branch", "--format=%(refname:short)").splitlines() if "/" in name)
    assert branch.startswith("proposals/flight-07/set-a-")
    assert remote.text(FILE) == PROJECT
    assert remote.text(FILE, branch) == PROJECT.replace("A: x", "A: z")
    assert branch in ended.out
    assert ada.git("status", "--porcelain") == ""


def test_the_command_that_merges_it_works(desks: Any, remote: Any) -> None:
    ada, ben = desks
    ended = ada("pause", "flight-07", "--merge-request")
    ada.push("projects/bonn.yaml", "pipeline: flow\n")  # somebody was faster, and Ben's main is older still
    line = next(line for line in ended.out.splitlines() if line.startswith("to merge it: "))
    assert os.system(f"cd {ben.clone} && {line.removeprefix('to merge it: ')} >/dev/null 2>&1") == 0  # noqa: S605
    assert remote.text(FILE) == PROJECT + "paused: true\n"


@pytest.mark.parametrize("takes_options", [True, False])
def test_gitlab_is_asked_for_a_merge_request_by_push_options(desks: Any, remote: Any, takes_options: bool) -> None:
    ada, _ = desks
    ada.push("winslow.yaml", "version: 1\nforge: {kind: gitlab, url: 'https://git.example.org/ulm/state'}\n")
    remote.git("config", "receive.advertisePushOptions", json.dumps(takes_options))
    remote.hook("post-receive", f"env | grep ^GIT_PUSH_OPTION > {remote.path}/options")
    ended = ada("pause", "flight-07", "--merge-request", "-m", "Wait for the camera")
    assert ended.code == 0
    options = (remote.path / "options").read_text()
    assert ("merge_request.title=Wait for the camera" in options) is takes_options
    assert "https://git.example.org/ulm/state/-/merge_requests/new" in ended.out


def test_the_address_that_the_remote_names_is_shown(desks: Any, remote: Any) -> None:
    ada, _ = desks
    remote.hook(
        "post-receive",
        "echo; echo 'View merge request:'; echo '  https://git.example.org/ulm/state/-/merge_requests/7'",
    )
    ended = ada("pause", "flight-07", "--merge-request")
    assert "merge it here: https://git.example.org/ulm/state/-/merge_requests/7\n" in ended.out
