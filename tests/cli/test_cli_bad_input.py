"""Wrong input that shows on the terminal: one clear sentence, the right exit code, never a traceback."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.codes import Exit


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_typo_in_node_yaml_is_named_with_its_place(winslow: Any, tmp_path: Path) -> None:
    config = tmp_path / "node.yaml"
    config.write_text("version: 1\nname: lab-1\nstate: {url: /srv/state.git}\nshare: /mnt/w\nruntme: docker\npoll: 5\n")
    ended = winslow("--config", config, "node")
    assert ended.code == Exit.BAD_INPUT
    assert f"winslow: {config}:5:1: " in ended.err
    assert "'runtime'" in ended.err
    assert f"winslow: {config}:6:7: " in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", [["node"], ["status"], ["plan"], ["explain", "ulm"]])
def test_a_share_that_is_not_mounted_is_said_so(winslow: Any, site: Any, command: list[str]) -> None:
    shutil.rmtree(site.layout.share)
    site.layout.share.mkdir()
    ended = winslow("--config", site.config, *command)
    assert ended.code == Exit.UNAVAILABLE
    assert f"{site.layout.share} holds no winslow.json: is the share mounted there?" in ended.err
    assert "Traceback" not in ended.err


def test_a_state_url_that_leads_nowhere_is_said_so(winslow: Any, site: Any) -> None:
    shutil.rmtree(site.layout.remote)
    ended = winslow("--config", site.config, "status")
    assert ended.code == Exit.UNAVAILABLE
    assert site.layout.remote.as_uri() in ended.err
    assert "Traceback" not in ended.err


def test_a_state_url_that_is_none_is_wrong_input(winslow: Any, site: Any) -> None:
    site.config.write_text(site.config.read_text().replace(site.layout.remote.as_uri(), "ftp://host/state"))
    ended = winslow("--config", site.config, "status")
    assert ended.code == Exit.BAD_INPUT
    assert "state.url" in ended.err


@pytest.mark.parametrize("command", [["status", "ulm"], ["logs", "ulm"], ["explain", "ulm"], ["wait", "ulm"]])
def test_an_unknown_project_is_answered_with_the_nearest(winslow: Any, site: Any, command: list[str]) -> None:
    site.push("projects/ulm-7.yaml", "pipeline: greeting\n")
    ended = winslow("--config", site.config, *command)
    assert ended.code == Exit.BAD_INPUT
    assert "there is no project 'ulm'; did you mean 'ulm-7'?" in ended.err


def test_a_project_without_a_run_has_no_log_yet(winslow: Any, site: Any) -> None:
    site.push("projects/ulm.yaml", "pipeline: greeting\n")
    ended = winslow("--config", site.config, "logs", "ulm")
    assert ended.code == Exit.BAD_INPUT
    assert "no run yet" in ended.err


def test_a_taken_port_names_itself_and_the_way_out(winslow: Any, site: Any, taken_port: int, tmp_path: Path) -> None:
    ended = winslow("--config", site.config, "ui", "--port", str(taken_port))
    assert ended.code == Exit.BAD_INPUT
    assert f"port {taken_port} on 127.0.0.1 is in use" in ended.err
    assert "--port" in ended.err
    ended = winslow("demo", "--dir", "demo", "--port", str(taken_port))
    assert ended.code == Exit.BAD_INPUT
    assert f"port {taken_port} on 127.0.0.1 is in use" in ended.err
    assert not (tmp_path / "demo").exists()


def test_a_demo_leaves_other_peoples_directories_alone(winslow: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("")
    ended = winslow("demo", "--dir", "thesis", "--runtime", "process")
    assert ended.code == Exit.BAD_INPUT
    assert "holds something else" in ended.err
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


def test_a_demo_in_a_file_is_wrong_input(winslow: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = winslow("demo", "--dir", "file", "--runtime", "process")
    assert ended.code == Exit.BAD_INPUT
    assert "is a file" in ended.err


def test_without_git_the_package_to_install_is_named(winslow: Any, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    ended = winslow("init", "state", extra={"PATH": str(tmp_path / "bin")})
    assert ended.code == Exit.BAD_INPUT
    assert "apt-get install git" in ended.err


def test_a_wrong_choice_is_told_in_plain_words(winslow: Any) -> None:
    ended = winslow("status", "--output", "yaml")
    assert ended.code == Exit.BAD_INPUT
    assert "'--output': 'yaml' is not one of" in ended.err


def test_who_looks_at_no_site_is_told_how_to_name_one(winslow: Any) -> None:
    ended = winslow("status", "--config", "nowhere.yaml")
    assert ended.code == Exit.BAD_INPUT
    assert all(way in ended.err for way in ("--config FILE", "$WINSLOW_CONFIG", "--clone DIR"))


def test_a_time_without_a_unit_is_refused(winslow: Any, site: Any) -> None:
    ended = winslow("--config", site.config, "wait", "ulm", "--timeout", "10")
    assert ended.code == Exit.BAD_INPUT
    assert "10m" in ended.err


def test_a_second_reconciler_with_the_same_directory_is_refused(winslow: Any, site: Any, eventually: Any) -> None:
    winslow.start("--config", site.config, "node")
    eventually((site.layout.share / "nodes/alpha/records/00000001.json").exists)
    ended = winslow("--config", site.config, "node")
    assert ended.code == Exit.BAD_INPUT
    assert "a reconciler runs already" in ended.err
