"""``winslow init`` and ``winslow validate``: how a site begins, and what keeps its files right."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.codes import Exit


def log_of(directory: Path) -> list[str]:
    command = ["git", "-C", str(directory), "log", "--format=%s"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture
def state(winslow: Any, tmp_path: Path) -> Path:
    assert winslow("init", "state").code == 0
    return tmp_path / "state"


def test_a_new_state_repository_is_committed_and_valid(winslow: Any, state: Path) -> None:
    assert log_of(state) == ["Begin the state repository"]
    assert (state / ".winslow/schemas/project.schema.json").is_file()
    assert winslow("validate", "state").out == "ok: 1 pipeline, 0 projects\n"


def test_init_says_what_to_do_next(winslow: Any) -> None:
    said = winslow("init", "state").out
    assert "git push -u origin main" in said
    assert "winslow validate" in said


def test_init_overwrites_nothing_and_writes_nothing_beside(winslow: Any, tmp_path: Path) -> None:
    mine = tmp_path / "state" / "winslow.yaml"
    mine.parent.mkdir()
    mine.write_text("version: 1\n")
    ended = winslow("init", "state")
    assert ended.code == Exit.BAD_INPUT
    assert "winslow.yaml" in ended.err
    assert [path.name for path in mine.parent.iterdir()] == ["winslow.yaml"]
    assert mine.read_text() == "version: 1\n"


def test_init_in_a_repository_leaves_the_commit_to_its_owner(winslow: Any, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "mine")], check=True)
    ended = winslow("init", "mine")
    assert ended.code == 0
    assert "git commit" in ended.out
    assert not (tmp_path / "mine/.git/refs/heads/main").exists()


def test_init_where_nothing_can_be_written_is_a_sentence(winslow: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = winslow("init", "file/state")
    assert ended.code == Exit.BAD_INPUT
    assert "Not a directory" in ended.err


def test_init_wants_one_directory(winslow: Any) -> None:
    assert winslow("init").code == Exit.BAD_INPUT
    assert winslow("init", "state", "--share", "share").code == Exit.BAD_INPUT


def test_a_share_keeps_its_identity_when_it_is_made_twice(winslow: Any, tmp_path: Path) -> None:
    assert winslow("init", "--share", "share").code == 0
    identity = (tmp_path / "share/winslow.json").read_text()
    ended = winslow("init", "--share", "share")
    assert "already" in ended.out
    assert (tmp_path / "share/winslow.json").read_text() == identity


def test_a_share_below_a_missing_directory_is_refused(winslow: Any, tmp_path: Path) -> None:
    ended = winslow("init", "--share", "mnt/winslow")
    assert ended.code == Exit.BAD_INPUT
    assert "is the NFS export mounted?" in ended.err
    assert not (tmp_path / "mnt").exists()


def test_init_leaves_the_choice_of_an_identity_to_people(state: Path) -> None:
    assert "Winslow" not in (state / ".git/config").read_text()


def test_nothing_in_the_template_installs_by_the_name_on_pypi(state: Path) -> None:
    texts = [path.read_text() for path in state.rglob("*") if path.is_file() and ".git/" not in str(path)]
    assert not [text for text in texts if "pip install winslow" in text or "--quiet winslow" in text]


def test_validating_another_directory_is_wrong_input(winslow: Any, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    ended = winslow("validate", "music")
    assert ended.code == Exit.BAD_INPUT
    assert "is no state repository" in ended.err


def test_validate_names_the_place_and_the_remedy(winslow: Any, state: Path) -> None:
    (state / "projects/ulm.yaml").write_text("pipeline: traffic-flwo\nprioritty: 3\n")
    ended = winslow("validate", state)
    assert ended.code == Exit.FAILED
    assert f"{state}/projects/ulm.yaml:2:1: " in ended.out
    assert "'priority'" in ended.out
    assert ended.out.splitlines()[-1] == "1 error"


def test_a_pipeline_that_does_not_exist_is_found(winslow: Any, state: Path) -> None:
    (state / "projects/ulm.yaml").write_text("pipeline: traffic-flwo\n")
    ended = winslow("validate", state)
    assert ended.code == Exit.FAILED
    assert "projects/ulm.yaml:1:11: " in ended.out
    assert "traffic-flow" in ended.out


def test_programs_get_the_problems_as_json(winslow: Any, state: Path) -> None:
    (state / "projects/ulm.yaml").write_text("name: [\n")
    ended = winslow("validate", state, "--output", "json")
    found = json.loads(ended.out)
    assert ended.code == Exit.FAILED
    assert found["ok"] is False
    assert found["problems"][0]["file"] == "projects/ulm.yaml"
    assert found["problems"][0]["line"] == 2


def test_a_warning_alone_is_well(winslow: Any, state: Path) -> None:
    (state / "projects/readme.yml").write_text("name: x\n")
    ended = winslow("validate", state)
    assert ended.code == 0
    assert ended.out.endswith("ok: 1 pipeline, 0 projects, 1 warning\n")


def test_validating_what_is_no_directory_is_wrong_input(winslow: Any) -> None:
    ended = winslow("validate", "nowhere")
    assert ended.code == Exit.BAD_INPUT
    assert "not a directory" in ended.err
