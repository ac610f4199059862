"""``winslow validate`` on commits, on standard input, and what it prints for programs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli.codes import Exit
from reconciler.cli.git import commit, git
from reconciler.cli.init import write_template
from tests.cli.conftest import Ended

ULM = "pipeline: traffic-flow\nname: Ulm\ninputs: [resources/ulm.mp4]\n"
BROKEN = "pipeline: traffic-flow\nprioritty: 3\n"


class Clone:
    """A state repository that somebody works in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, path: str, content: str | None) -> str:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content) if content is not None else file.unlink()
        commit(self.path, f"Change {path}", ".", anonymous=True)
        return git(self.path, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = Clone(tmp_path / "state")
    write_template(made.path)
    git(made.path, "init", "--quiet", "-b", "main")
    made.save("projects/ulm.yaml", ULM)
    return made


def test_a_range_is_checked_at_its_end_and_says_what_is_new(here: Callable[..., Ended], clone: Clone) -> None:
    begin = clone.save("projects/old.yaml", BROKEN)
    clone.save("projects/new.yaml", BROKEN)
    (clone.path / "projects/not-committed.yaml").write_text(BROKEN)
    ended = here("validate", clone.path, "--commits", f"{begin}..HEAD")
    assert ended.code == Exit.FAILED
    assert ended.out.splitlines() == [
        "projects/new.yaml:2:1: unknown field 'prioritty'; did you mean 'priority'? [new]",
        "projects/old.yaml:2:1: unknown field 'prioritty'; did you mean 'priority'?",
        "1 new error, 1 error that was there before",
    ]


def test_somebody_elses_old_fault_fails_no_change(here: Callable[..., Ended], clone: Clone) -> None:
    begin = clone.save("projects/old.yaml", BROKEN)
    clone.save("projects/ulm.yaml", ULM + "priority: 3\n")
    ended = here("validate", clone.path, "--commits", f"{begin}..HEAD")
    assert ended.code == 0
    assert ended.out.endswith("ok: 1 pipeline, 1 project, 1 error that was there before\n")


def test_what_main_did_meanwhile_is_no_part_of_the_change(here: Callable[..., Ended], clone: Clone) -> None:
    git(clone.path, "switch", "--quiet", "-c", "topic")
    clone.save("projects/topic.yaml", ULM)
    git(clone.path, "switch", "--quiet", "main")
    clone.save("projects/ulm.yaml", None)
    ended = here("validate", clone.path, "--commits", "main..topic")
    assert (ended.code, ended.out) == (0, "ok: 1 pipeline, 2 projects\n")


def test_one_commit_is_what_it_changed_itself(here: Callable[..., Ended], clone: Clone) -> None:
    clone.save("projects/old.yaml", BROKEN)
    clone.save("projects/new.yaml", BROKEN)
    found = json.loads(here("validate", clone.path, "--commits", "HEAD", "--output", "json").out)
    assert [(one["file"], one["new"]) for one in found["problems"]] == [
        ("projects/new.yaml", True),
        ("projects/old.yaml", False),
    ]
    assert (found["commit"], found["base"]) == (
        git(clone.path, "rev-parse", "HEAD"),
        git(clone.path, "rev-parse", "HEAD^"),
    )


def test_a_branch_that_forges_call_new_has_everything_new(here: Callable[..., Ended], clone: Clone) -> None:
    clone.save("projects/old.yaml", BROKEN)
    clone.save("projects/ulm.yaml", ULM + "priority: 3\n")
    ended = here("validate", clone.path, "--commits", f"{'0' * 40}..HEAD")
    assert ended.code == Exit.FAILED
    assert "[new]" in ended.out


def test_a_change_is_checked_from_anywhere_in_the_clone(here: Callable[..., Ended], clone: Clone) -> None:
    assert here("validate", clone.path / "projects", "--commits", "HEAD").code == 0


@pytest.mark.parametrize("wanted", ["nowhere", "nowhere..HEAD", "HEAD..nowhere", "--all..HEAD", "HEAD^{tree}", ""])
def test_an_unknown_commit_is_a_sentence(here: Callable[..., Ended], clone: Clone, wanted: str) -> None:
    ended = here("validate", clone.path, f"--commits={wanted}")
    assert ended.code == Exit.BAD_INPUT
    assert ended.err.startswith("winslow: there is no commit '")
    assert "fetch it first" in ended.err
    assert ended.out == ""


def test_ends_without_common_history_are_a_sentence(here: Callable[..., Ended], clone: Clone) -> None:
    git(clone.path, "switch", "--quiet", "--orphan", "other")
    clone.save("projects/ulm.yaml", ULM)
    ended = here("validate", clone.path, "--commits", "main..other")
    assert ended.code == Exit.BAD_INPUT
    assert "share no history" in ended.err


def test_commits_of_no_repository_are_a_sentence(here: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    ended = here("validate", "music", "--commits", "HEAD")
    assert ended.code == Exit.BAD_INPUT
    assert "is in no git repository" in ended.err


def test_the_clone_is_left_as_it_was(here: Callable[..., Ended], clone: Clone) -> None:
    def everything() -> tuple[str, list[str]]:
        files = sorted(str(path) for path in clone.path.rglob("*"))
        return git(clone.path, "for-each-ref") + git(clone.path, "status", "--porcelain"), files

    before = everything()
    assert here("validate", clone.path, "--commits", "HEAD").code == 0
    assert everything() == before


# --- what is known of runs -----------------------------------------------------------------------


STATUS = """\
project: ulm
name: Ulm
pipeline: traffic-flow
tags: []
phase: Failed
waiting_for:
conditions: []
last_run: 4
stages: []
runs: []
"""


def publish(clone: Clone, status: str) -> None:
    """The branch ``observed`` as a fetch brings it."""
    git(clone.path, "switch", "--quiet", "--orphan", "seen")
    (clone.path / "projects/ulm").mkdir(parents=True)
    (clone.path / "status.yaml").write_text("version: 1\ncommit:\nconditions: []\n")
    clone.save("projects/ulm/status.yaml", status)
    git(clone.path, "update-ref", "refs/remotes/origin/observed", "HEAD")
    git(clone.path, "switch", "--quiet", "main")


def test_a_late_request_is_told_by_what_the_clone_last_observed(here: Callable[..., Ended], clone: Clone) -> None:
    publish(clone, STATUS)
    clone.save("projects/ulm.yaml", ULM + "next: {stage: detect, after: 3}\n")
    ended = here("validate", clone.path, "--commits", "HEAD")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == (
        "projects/ulm.yaml:4:30: warning: next is stale: it says after: 3, and the last run is 4; to start 'detect' "
        "now write: next: {stage: detect, after: 4} [new]"
    )


def test_an_observed_branch_that_somebody_mangled_is_passed_over(here: Callable[..., Ended], clone: Clone) -> None:
    publish(clone, "project: [")
    clone.save("projects/ulm.yaml", ULM + "next: {stage: detect, after: 3}\n")
    assert here("validate", clone.path, "--commits", "HEAD").out == "ok: 1 pipeline, 1 project\n"


# --- one file ------------------------------------------------------------------------------------


def test_an_editor_checks_what_is_not_saved_yet(here: Callable[..., Ended]) -> None:
    ended = here("validate", "--stdin", "--path", "projects/ulm.yaml", given=BROKEN.encode())
    assert ended.code == Exit.FAILED
    assert ended.out == "projects/ulm.yaml:2:1: unknown field 'prioritty'; did you mean 'priority'?\n1 error\n"
    assert here("validate", "--stdin", "--path", "projects/ulm.yaml", given=ULM.encode()).out == "ok\n"


def test_an_editor_knows_a_file_by_its_whole_path(here: Callable[..., Ended], clone: Clone, tmp_path: Path) -> None:
    path = clone.path / "projects/ulm/new.yaml"
    ended = here("validate", "--stdin", "--path", path, "--output", "json", given=BROKEN.encode())
    assert ended.code == Exit.FAILED
    assert json.loads(ended.out)["problems"][0]["file"] == "projects/ulm/new.yaml"
    ended = here("validate", "--stdin", "--path", tmp_path / "x.yaml")
    assert ended.code == Exit.BAD_INPUT
    assert "lies in no state repository" in ended.err


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b"[" * 100_000, b"x" * (3 << 20), b""])
def test_a_file_on_standard_input_may_be_anything(here: Callable[..., Ended], content: bytes) -> None:
    ended = here("validate", "--stdin", "--path", "pipelines/p.yaml", given=content)
    assert (ended.code, ended.err) == (Exit.FAILED, "")


@pytest.mark.parametrize(
    "arguments", [["--stdin"], ["--path", "x.yaml"], ["--stdin", "--path", "x.yaml", "--commits", "HEAD"], ["--plan"]]
)
def test_options_that_need_another_one_say_so(here: Callable[..., Ended], arguments: list[str]) -> None:
    ended = here("validate", *arguments)
    assert ended.code == Exit.BAD_INPUT
    assert ended.err.startswith("winslow: --")


# --- for forges ----------------------------------------------------------------------------------


def test_gitlab_gets_its_report_and_the_jobs_log_the_words(
    here: Callable[..., Ended], clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone.path / "projects/b.yaml").write_text(BROKEN)
    monkeypatch.chdir(clone.path)
    for where in (clone.path, "."):
        ended = here("validate", where, "--output", "code-quality")
        (entry,) = json.loads(ended.out)
        assert ended.code == Exit.FAILED
        assert entry["location"] == {"path": "projects/b.yaml", "lines": {"begin": 2}}
        assert "projects/b.yaml:2:1: unknown field" in ended.err


def test_github_gets_an_annotation_at_the_place(here: Callable[..., Ended], clone: Clone) -> None:
    clone.save("projects/b.yaml", BROKEN)
    ended = here("validate", clone.path, "--commits", "HEAD", "--output", "github")
    assert ended.code == Exit.FAILED
    assert ended.out.splitlines() == [
        "::error file=projects/b.yaml,line=2,col=1::unknown field 'prioritty'; did you mean 'priority'?",
        "1 new error",
    ]


def test_a_forge_gets_an_empty_report_of_a_good_repository(here: Callable[..., Ended], clone: Clone) -> None:
    assert json.loads(here("validate", clone.path, "--output", "code-quality").out) == []
    assert here("validate", clone.path, "--output", "github").out == "ok: 1 pipeline, 1 project\n"
