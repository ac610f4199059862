"""Purging on a real directory: one rename, whatever froze where; numbers that never come again."""

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.files import MountedFiles
from reconciler.core.names import Commit, ProjectName, RecordNumber, RunNumber, Token
from reconciler.core.records import Aborted, Deleted, ProjectRecord, Purged, Restored
from reconciler.errors import FilesLeft, ShareUnavailable
from tests.fakes.build import COMMIT, CROSSING, a_claim, a_created, a_run, a_seen, aborted, done, header
from tests.share.place import Place

GONE = Commit("d" * 40)
CREATED = a_created(1, "detect", number=2)
PURGED = Purged(**header(4), commit=GONE, last_run=RunNumber(1))
LIFE: tuple[ProjectRecord, ...] = (a_seen(1), CREATED, Deleted(**header(3), commit=GONE), PURGED)
RETIRED = "retired/crossing.00000004"
PURGED_FILE = f"{RETIRED}/records/00000004.json"


on_disk = pytest.mark.parametrize("place", ["disk"], indirect=True)


def signed(record: ProjectRecord, token: str) -> ProjectRecord:
    return replace(record, token=Token(token))


@pytest.fixture
def purged(place: Place) -> SharedDirectory:
    """PURGED stands; nobody has taken the directory away yet."""
    share = place.share()
    for record in LIFE:
        assert share.publish_project(CROSSING, record)
    for one in (a_claim(1), aborted(2)):
        assert share.publish_run(CROSSING, CREATED, one)
    place.write("projects/crossing/init/calibration.txt", "by hand")
    return share


# --- from DELETED to nothing ---


@on_disk
def test_a_deletion_is_dated_by_the_shares_clock_alone(place: Place) -> None:
    """The record's own time comes from a node's clock, which may be years off."""
    share = place.share()
    share.publish_project(CROSSING, a_seen(1))
    share.publish_project(CROSSING, Deleted(**header(2), commit=GONE))
    written = place.root / "projects/crossing/records/00000002.json"
    ago = (datetime.now(UTC) - timedelta(days=8)).replace(microsecond=0)
    os.utime(written, (ago.timestamp(), ago.timestamp()))
    for reader in (place.share("c"), place.share("c")):
        assert reader.read().history(CROSSING).deleted_at == ago
    assert timedelta(days=7, hours=23) < share.time() - ago < timedelta(days=8, hours=1)
    assert not list((place.root / "tmp").iterdir())


def test_a_restored_project_has_no_date_of_deletion(place: Place) -> None:
    share = place.share()
    for record in (a_seen(1), Deleted(**header(2), commit=GONE), Restored(**header(3), commit=COMMIT)):
        share.publish_project(CROSSING, record)
    history = share.read().history(CROSSING)
    assert (history.is_deleted, history.deleted_at) == (False, None)


def test_a_purged_project_leaves_its_last_numbers_and_nothing_else(purged: SharedDirectory, place: Place) -> None:
    assert purged.read().history(CROSSING).is_purged
    purged.purge(CROSSING, PURGED)
    assert not place.is_there("projects/crossing")
    assert purged.read().remains == ((CROSSING, 4),)
    purged.remove_remains(CROSSING, RecordNumber(4))
    for reader in (purged, place.share("c")):
        ledger = reader.read()
        history = ledger.history(CROSSING)
        assert (history.records, history.runs, ledger.remains) == ((), (), ())
        assert (history.next_number, history.next_run, history.last_commit) == (5, 2, GONE)
    assert place.below("retired", "projects") == [PURGED_FILE]


def test_other_projects_are_left_alone(purged: SharedDirectory, place: Place) -> None:
    """Also one whose name begins alike."""
    other = ProjectName("crossing-2")
    purged.publish_project(other, a_seen(1))
    purged.purge(CROSSING, PURGED)
    purged.remove_remains(CROSSING, RecordNumber(4))
    assert purged.read().history(other).records == (a_seen(1),)
    assert purged.read().history(other).retired is None


@on_disk
def test_what_a_stage_made_read_only_is_removed_as_well(
    purged: SharedDirectory, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may remove anything, so the file system's refusal is played to it."""
    rmtree = shutil.rmtree

    def as_anybody(path: Path) -> None:
        for folder in (path, *path.rglob("*")):
            if folder.is_dir() and not folder.is_symlink() and not folder.stat().st_mode & 0o200:
                raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", as_anybody)
    deep = place.root / "projects/crossing/runs/0001-detect/1/workspace/deep"
    deep.mkdir(parents=True)
    (deep / "frame").write_text("x")
    (deep / "elsewhere").symlink_to(place.root / "resources")
    (place.root / "resources/film.mp4").write_text("stays")
    deep.chmod(0o500)
    purged.purge(CROSSING, PURGED)
    purged.remove_remains(CROSSING, RecordNumber(4))
    assert place.below("retired") == [PURGED_FILE]
    assert (place.root / "resources/film.mp4").exists()


# --- twice, halfway, too late ---


def test_every_step_can_be_done_again_by_anybody(purged: SharedDirectory, place: Place) -> None:
    other = place.share("b")
    for node in (purged, other, purged):
        node.purge(CROSSING, PURGED)
    for node in (other, purged):
        node.remove_remains(CROSSING, RecordNumber(4))
    assert place.below("retired", "projects") == [PURGED_FILE]


@on_disk
def test_a_removal_that_a_crash_cut_short_is_finished_by_another_node(
    purged: SharedDirectory, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    purged.purge(CROSSING, PURGED)

    def crashing(path: Path) -> None:
        raise OSError(errno.EIO, "the node is gone")

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", crashing)
        with pytest.raises(ShareUnavailable):
            purged.remove_remains(CROSSING, RecordNumber(4))
    other = place.share("b")
    assert other.read().remains == ((CROSSING, 4),)
    other.remove_remains(CROSSING, RecordNumber(4))
    assert other.read().remains == ()


@pytest.mark.parametrize("emptied", [False, True])
def test_a_node_that_froze_before_its_rename_takes_no_namesake_away(
    purged: SharedDirectory, place: Place, emptied: bool
) -> None:
    """It wakes when another node has purged the old project and people have made a new one."""
    other = place.share("b")
    other.purge(CROSSING, PURGED)
    if emptied:
        other.remove_remains(CROSSING, RecordNumber(4))
    assert other.publish_project(CROSSING, a_seen(5))
    place.write("projects/crossing/init/zones.json")
    purged.purge(CROSSING, PURGED)
    assert place.is_there("projects/crossing/init")
    assert purged.read().history(CROSSING).records == (a_seen(5),)


def test_whoever_comes_second_with_purged_or_restored_has_lost(place: Place) -> None:
    share = place.share()
    for record in LIFE[:3]:
        share.publish_project(CROSSING, record)
    restored = Restored(**header(4, "b"), commit=COMMIT)
    assert place.share("b").publish_project(CROSSING, restored)
    assert not share.publish_project(CROSSING, PURGED)
    assert not share.read().history(CROSSING).is_deleted


# --- records that come too late ---


@pytest.mark.parametrize("number", [1, 3, 4])
@pytest.mark.parametrize("namesake", [False, True])
def test_a_record_of_the_old_project_never_counts_for_its_namesake(
    purged: SharedDirectory, place: Place, number: int, namesake: bool
) -> None:
    """Planned before the purge, published long after: by a node that read the old records, or none at all."""
    other = place.share("b")
    other.purge(CROSSING, PURGED)
    if namesake:
        other.publish_project(CROSSING, a_seen(5))
    late = signed(Restored(**header(number), commit=COMMIT), "late")
    assert not purged.publish_project(CROSSING, late)
    assert place.is_there("projects/crossing") is namesake
    expected = (a_seen(5),) if namesake else ()
    for reader in (purged, other, place.share("c")):
        assert reader.read().history(CROSSING).records == expected


class Frozen(MountedFiles):
    """Freezes once, right before it makes a directory, or right before it makes a file."""

    def __init__(self, before: str, meanwhile: Callable[[], None]) -> None:
        self._waits = {before: meanwhile}

    def mkdir(self, directory: Path, *, parents: bool = False) -> None:
        self._waits.pop("mkdir", lambda: None)()
        super().mkdir(directory, parents=parents)

    def create(self, path: Path, content: bytes) -> None:
        self._waits.pop("create", lambda: None)()
        super().create(path, content)


@pytest.mark.parametrize("before", ["mkdir", "create"])
@pytest.mark.parametrize("namesake", [False, True])
@on_disk
def test_a_first_record_that_was_overtaken_by_a_whole_life_does_not_count(
    place: Place, before: str, namesake: bool
) -> None:
    """The node froze between its look at what is retired and the link."""
    share = place.share()
    expected: tuple[ProjectRecord, ...] = (a_seen(5),) if namesake else ()

    def a_whole_life() -> None:
        for record in LIFE:
            assert share.publish_project(CROSSING, record)
        share.purge(CROSSING, PURGED)
        for record in expected:
            assert share.publish_project(CROSSING, record)

    late = SharedDirectory(place.root, writer="b", files=Frozen(before, a_whole_life))
    with nullcontext() if before == "mkdir" or namesake else pytest.raises(ShareUnavailable):
        assert not late.publish_project(CROSSING, signed(a_seen(1), "late"))
    for reader in (share, late, place.share("c")):
        assert reader.read().history(CROSSING).records == expected
    assert share.publish_project(CROSSING, a_seen(5))
    assert late.read().history(CROSSING).records == (a_seen(5),)


def test_a_claimant_that_wakes_after_the_purge_brings_no_directory_back(purged: SharedDirectory, place: Place) -> None:
    place.share("b").purge(CROSSING, PURGED)
    run = replace(a_run(1, "detect", a_claim()), created=CREATED)
    assert not purged.publish_run(CROSSING, CREATED, done(2))
    assert not purged.publish_run(CROSSING, a_created(2, "track", number=3), a_claim(1))
    for attempt in (
        lambda: purged.prepare(CROSSING, run, a_claim()),
        lambda: purged.publish_output(CROSSING, run),
        lambda: purged.add_event(CROSSING, run, a_claim(), datetime.now(UTC), "started"),
    ):
        with pytest.raises(ShareUnavailable):
            attempt()
    assert not place.is_there("projects/crossing")


# --- lives one after the other ---


def test_numbers_rise_over_three_lives(place: Place) -> None:
    share = place.share()
    first = 1
    for life in range(1, 4):
        created = a_created(life, "detect", number=first + 1)
        purged = Purged(**header(first + 3), commit=GONE, last_run=RunNumber(life))
        for record in (a_seen(first), created, Deleted(**header(first + 2), commit=GONE), purged):
            assert share.publish_project(CROSSING, record)
        assert share.publish_run(CROSSING, created, Aborted(**header(1), commit=GONE))
        history = place.share("c").read().history(CROSSING)
        assert [run.number for run in history.runs] == [life]
        assert [record.number for record in history.records] == list(range(first, first + 4))
        share.purge(CROSSING, purged)
        first += 4
    history = share.read().history(CROSSING)
    assert (history.next_number, history.next_run) == (13, 4)
    assert len(share.read().remains) == 3
    for project, number in share.read().remains:
        share.remove_remains(project, number)
    assert share.read().remains == ()


def test_a_lost_record_of_a_purge_costs_its_namesake_and_no_other(purged: SharedDirectory, place: Place) -> None:
    """Without the last numbers nothing may begin: some would come twice."""
    purged.purge(CROSSING, PURGED)
    place.replace(PURGED_FILE, "torn")
    purged.publish_project(ProjectName("ulm"), a_seen(1))
    ledger = place.share("c").read()
    assert list(ledger.projects) == ["ulm"]
    assert "keeps the last numbers of a purged project" in ledger.unreadable[CROSSING]


def test_a_share_of_an_earlier_version_has_nothing_retired(place: Place) -> None:
    share = place.share()
    place.files.remove(place.root / "retired")
    assert share.publish_project(CROSSING, a_seen(1))
    assert share.read().history(CROSSING).records == (a_seen(1),)
    for record in LIFE[1:]:
        share.publish_project(CROSSING, record)
    share.purge(CROSSING, PURGED)
    assert share.read().history(CROSSING).next_number == 5


@on_disk
def test_what_a_person_owns_keeps_nothing_else_on_the_share(
    purged: SharedDirectory, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People fill input/ by hand, under their own names; what stages left behind may be terabytes."""
    rmtree = shutil.rmtree

    def as_anybody(path: Path) -> None:
        if path.name == "input":
            raise PermissionError(errno.EACCES, "Permission denied", str(path / "theirs"))
        rmtree(path)

    for name in ("input", "output", "patch"):
        (place.root / "projects/crossing" / name).mkdir()
        (place.root / "projects/crossing" / name / "theirs").write_text("x")
    purged.purge(CROSSING, PURGED)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", as_anybody)
        with pytest.raises(FilesLeft, match=r"input/theirs: Permission denied; remove what is in .* by hand"):
            purged.remove_remains(CROSSING, RecordNumber(4))
    assert place.below("retired") == sorted([f"{RETIRED}/input/theirs", PURGED_FILE])
    assert purged.remove_remains(CROSSING, RecordNumber(4))
    assert place.below("retired") == [PURGED_FILE]


@on_disk
def test_one_directory_at_a_time_is_emptied(
    purged: SharedDirectory, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process as well, which a lock of the share's would not keep from itself."""
    purged.purge(CROSSING, PURGED)
    meanwhile: list[bool] = []
    rmtree = shutil.rmtree

    def slow(path: Path) -> None:
        meanwhile.append(purged.remove_remains(CROSSING, RecordNumber(4)))
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", slow)
    assert purged.remove_remains(CROSSING, RecordNumber(4))
    assert meanwhile
    assert not any(meanwhile)


@on_disk
def test_what_was_purged_years_ago_is_not_looked_for(
    purged: SharedDirectory, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look is a question to the server, at each tick, for ever."""
    purged.purge(CROSSING, PURGED)
    purged.remove_remains(CROSSING, RecordNumber(4))
    purged.read()
    asked: list[str] = []
    scandir = os.scandir

    def watched(path: Path) -> object:
        asked.append(path.relative_to(place.root).as_posix())
        return scandir(path)

    monkeypatch.setattr(os, "scandir", watched)
    assert purged.read().history(CROSSING).next_number == 5
    assert not [path for path in asked if "crossing" in path]
