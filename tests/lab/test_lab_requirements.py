"""Where the lab can't run, it says why, and the command that helps."""

import os
import shutil
from pathlib import Path

import pytest

from tests.lab import requirements


def test_without_root_it_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "sudo make lab" in requirements.missing()


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: None if program in ("linux.uml", "nft") else program)
    assert requirements.missing().endswith("apt-get install nftables user-mode-linux")


def test_a_path_that_a_kernels_command_line_cannot_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: program)
    monkeypatch.setattr(requirements, "MODULES", tmp_path)
    monkeypatch.setattr(requirements, "CHECKOUT", Path("/home/ada/my videos/winslow"))
    assert "clone Winslow to another directory" in requirements.missing()


@pytest.mark.parametrize(("checkout", "is_hidden"), [("/tmp/winslow", True), ("/srv/winslow", False)])
def test_what_a_guests_own_mounts_hide_is_mounted_anew(
    monkeypatch: pytest.MonkeyPatch, checkout: str, is_hidden: bool
) -> None:
    monkeypatch.setattr(requirements, "CHECKOUT", Path(checkout))
    assert (Path(checkout) in requirements.hidden()) is is_hidden
