"""What every command says about itself, and what becomes of errors."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from reconciler import __version__
from reconciler.cli import main as cli
from reconciler.cli.codes import Exit, exit_code
from reconciler.errors import (
    BadInput,
    EngineUnavailable,
    RecordUnreadable,
    ShareUnavailable,
    SourceUnavailable,
    StartFailed,
)


@pytest.mark.parametrize("command", [None, *cli.COMMANDS])
def test_every_command_explains_itself_and_its_exit_codes(command: str | None) -> None:
    result = CliRunner().invoke(cli.app, [*([command] if command else []), "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output
    assert "130  ended by Ctrl-C" in result.output


def test_the_list_of_commands_is_not_cut_off() -> None:
    result = CliRunner().invoke(cli.app, ["--help"])
    commands = result.output.split("Commands:")[1]
    assert "wait " in commands
    assert "..." not in commands


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(cli.app, ["--version"]).output == f"winslow {__version__}\n"


def test_a_mistyped_command_is_wrong_use_with_a_suggestion(winslow: Any) -> None:
    ended = winslow("statsu")
    assert ended.code == Exit.BAD_INPUT
    assert "status" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("x"), Exit.BAD_INPUT),
        (ShareUnavailable("x"), Exit.UNAVAILABLE),
        (SourceUnavailable("x"), Exit.UNAVAILABLE),
        (EngineUnavailable("x"), Exit.UNAVAILABLE),
        (RecordUnreadable("x"), Exit.UNAVAILABLE),
        (StartFailed("ImageNotFound", "x"), Exit.FAILED),
    ],
)
def test_the_exit_code_says_whose_turn_it_is(error: Any, code: Exit) -> None:
    assert exit_code(error) is code


def test_a_bug_is_called_a_bug_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == Exit.FAILED
    assert said == (
        "winslow: this is a bug in Winslow: ZeroDivisionError: division by zero; "
        "run again with WINSLOW_DEBUG=1 for the details\n"
    )


def test_a_full_disk_is_no_bug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/mnt/share/x")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == Exit.UNAVAILABLE
    assert capsys.readouterr().err == "winslow: /mnt/share/x: No space left on device\n"


def test_whoever_debugs_gets_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.setenv(cli.DEBUG, "1")
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_the_configuration_may_stand_before_or_after_the_command_or_in_the_environment(
    winslow: Any, tmp_path: Path
) -> None:
    missing = tmp_path / "nowhere.yaml"
    ways = [winslow("--config", missing, "status"), winslow("status", "--config", missing)]
    ways.append(winslow("status", extra={"WINSLOW_CONFIG": str(missing)}))
    for ended in ways:
        assert ended.code == Exit.BAD_INPUT
        assert ended.err.startswith(f"winslow: there is no {missing}; ")
