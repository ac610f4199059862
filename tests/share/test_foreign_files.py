"""One file that isn't ours, or can't be read, must not keep the other projects from moving."""

import errno
import os
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.attempts import Attempts
from reconciler.adapters.share.files import MOUNTED
from reconciler.adapters.share.layout import Layout
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from tests.fakes.build import CROSSING, NOW, a_claim, a_created, a_seen, failed


@pytest.mark.parametrize(
    "line",
    [b"5", b'{"event": "started"}', b'{"event": "started", "t": "noon"}', b"\xff", b'{"event": "started", "t"'],
)
def test_a_line_of_the_events_that_is_not_ours_is_passed_over(tmp_path: Path, line: bytes) -> None:
    attempts = Attempts(Layout(tmp_path), MOUNTED, writer="a")
    good = b'{"event": "started", "t": "2026-11-01T12:00:00+00:00"}\n'
    (tmp_path / "events.jsonl").write_bytes(good + line + b"\n")
    assert attempts.started_at(tmp_path) == NOW
    (tmp_path / "events.jsonl").write_bytes(line)
    assert attempts.started_at(tmp_path) is None


def test_a_record_that_cannot_be_opened_is_its_own_projects_trouble(tmp_path: Path) -> None:
    SharedDirectory.create(tmp_path)
    share = SharedDirectory(tmp_path, writer="a")
    (tmp_path / "projects/ulm/records/00000001.json").mkdir(parents=True)
    assert share.publish_project(CROSSING, a_seen())
    ledger = share.read()
    assert list(ledger.projects) == [CROSSING]
    assert "Is a directory" in str(ledger.unreadable)


def test_a_directory_that_cannot_be_opened_is_its_own_projects_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests run as root, whom no mode keeps out."""
    SharedDirectory.create(tmp_path)
    share = SharedDirectory(tmp_path, writer="a")
    assert share.publish_project(CROSSING, a_seen())
    assert share.publish_project(ProjectName("ulm"), a_seen())
    scandir = os.scandir

    def as_anybody(path: Path) -> object:
        if path == tmp_path / "projects/ulm/records":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", as_anybody)
    ledger = share.read()
    assert list(ledger.projects) == [CROSSING]
    assert "projects/ulm/records can't be read: Permission denied" in ledger.unreadable[ProjectName("ulm")]


def test_a_settled_run_is_never_looked_at_again(tmp_path: Path) -> None:
    """Months of runs must not make each tick slower."""
    SharedDirectory.create(tmp_path)
    share = SharedDirectory(tmp_path, writer="a")
    created = a_created(number=2)
    share.publish_project(CROSSING, a_seen())
    share.publish_project(CROSSING, created)
    share.publish_run(CROSSING, created, a_claim(1))
    share.publish_run(CROSSING, created, failed(2))
    before = share.read_run(CROSSING, created)
    assert before == Run(created=created, records=(a_claim(1), failed(2)), output_published=True)
    (tmp_path / "projects/crossing/runs").rename(tmp_path / "away")
    assert share.read_run(CROSSING, created) is before
