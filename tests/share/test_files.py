"""The files of a claim: cloned whole, published whole, repeatable after a crash."""

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.clone import clone_tree
from reconciler.core.desired import Workspace
from reconciler.errors import ShareUnavailable, StartFailed
from tests.fakes.build import CROSSING, NOW, a_base, a_claim, a_run, done

RUN = a_run(1, "detect", a_claim())
HOME = "projects/crossing/runs/0001-detect/1"


@pytest.fixture(autouse=True)
def project(root: Path) -> None:
    """Its first record made it; the files of a claim never do."""
    (root / "projects/crossing").mkdir()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """One of everything that a workspace may hold."""
    source = tmp_path / "source"
    (source / "deep/empty").mkdir(parents=True)
    (source / "deep/frames.bin").write_bytes(bytes(range(256)) * 20_000)
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o750)
    (source / "nothing").touch()
    (source / "link").symlink_to("deep/frames.bin")
    (source / "dangling").symlink_to("/nowhere/at/all")
    (source / "directory-link").symlink_to("deep")
    with (source / "sparse").open("wb") as file:
        file.seek(3_000_000)
        file.write(b"end")
    os.mkfifo(source / "pipe")
    os.utime(source / "run.sh", (1_000_000_000, 1_000_000_001))
    (source / "deep/empty").chmod(0o500)
    os.utime(source / "deep", (1_000_000_000, 1_000_000_002))
    return source


def check_clone(source: Path, target: Path) -> None:
    assert (target / "deep/frames.bin").read_bytes() == (source / "deep/frames.bin").read_bytes()
    assert (target / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (target / "nothing").read_bytes() == b""
    assert stat.S_IMODE((target / "run.sh").stat().st_mode) == 0o750
    assert stat.S_IMODE((target / "deep/empty").stat().st_mode) == 0o500
    assert (target / "run.sh").stat().st_mtime == 1_000_000_001
    assert (target / "deep").stat().st_mtime == 1_000_000_002
    assert (target / "link").readlink() == Path("deep/frames.bin")
    assert (target / "dangling").readlink() == Path("/nowhere/at/all")
    assert (target / "directory-link").is_symlink()
    assert not os.path.lexists(target / "pipe")


def test_a_clone_keeps_contents_modes_times_links_and_empty_directories(tree: Path, tmp_path: Path) -> None:
    size = clone_tree(tree, tmp_path / "clone")
    check_clone(tree, tmp_path / "clone")
    assert size == 256 * 20_000 + len("#!/bin/sh\n") + 3_000_003


def test_a_clone_shares_nothing_that_can_be_written_through(tree: Path, tmp_path: Path) -> None:
    clone_tree(tree, tmp_path / "clone")
    (tmp_path / "clone/run.sh").write_text("changed")
    assert (tree / "run.sh").read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_clone_falls_back_to_reading_and_writing(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refused(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    write = os.write
    monkeypatch.setattr(fcntl, "ioctl", refused)
    monkeypatch.setattr(os, "copy_file_range", refused)
    monkeypatch.setattr(os, "write", lambda descriptor, block: write(descriptor, block[:70_000]))  # a short write
    clone_tree(tree, tmp_path / "clone")
    check_clone(tree, tmp_path / "clone")


def test_a_clone_uses_server_side_copies_where_blocks_cannot_be_shared(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def read_is_wrong(*_: object) -> bytes:
        raise AssertionError("the bytes went over the wire")

    monkeypatch.setattr(fcntl, "ioctl", refused)
    monkeypatch.setattr(os, "read", read_is_wrong)
    clone_tree(tree, tmp_path / "clone")
    check_clone(tree, tmp_path / "clone")


def test_a_clone_that_meets_a_real_fault_says_so(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "ioctl", broken)
    with pytest.raises(OSError, match="Input/output"):
        clone_tree(tree, tmp_path / "clone")


# --- preparing ---


def test_the_first_run_starts_from_what_people_put_into_init(share: SharedDirectory, root: Path) -> None:
    (root / "projects/crossing/init").mkdir(parents=True)
    (root / "projects/crossing/init/zones.json").write_text("{}")
    paths = share.prepare(CROSSING, RUN, a_claim())
    assert paths.workspace == str(root / HOME / "workspace")
    assert (root / HOME / "workspace/zones.json").read_text() == "{}"
    assert {paths.claim, paths.output, paths.input, paths.resources} == {
        str(root / place) for place in (HOME, f"{HOME}/output", "projects/crossing/input", "resources")
    }
    assert all(Path(place).is_dir() for place in (paths.output, paths.input, paths.resources))


def test_a_later_run_starts_from_its_base_and_leaves_that_alone(share: SharedDirectory, root: Path) -> None:
    share.prepare(CROSSING, RUN, a_claim())
    (root / HOME / "workspace/boxes.csv").write_text("1,2")
    later = a_run(2, "track", a_claim(), base=a_base(1, "detect"))
    paths = share.prepare(CROSSING, later, a_claim())
    copied = Path(paths.workspace) / "boxes.csv"
    assert copied.read_text() == "1,2"
    copied.write_text("3,4")
    assert (root / HOME / "workspace/boxes.csv").read_text() == "1,2"


def test_a_fresh_stage_starts_empty(share: SharedDirectory, root: Path) -> None:
    (root / "projects/crossing/init").mkdir(parents=True)
    (root / "projects/crossing/init/zones.json").write_text("{}")
    paths = share.prepare(CROSSING, a_run(1, "detect", a_claim(), workspace=Workspace.FRESH), a_claim())
    assert not list(Path(paths.workspace).iterdir())


def test_a_base_that_is_gone_is_not_taken_for_an_empty_one(share: SharedDirectory) -> None:
    run = a_run(2, "track", a_claim(), base=a_base(1, "detect"))
    with pytest.raises(StartFailed, match=r"workspace of run 1 is gone.*`from:` another run") as told:
        share.prepare(CROSSING, run, a_claim())
    assert told.value.reason == "BaseMissing"


def test_preparing_after_a_crash_half_way_begins_anew(share: SharedDirectory, root: Path) -> None:
    (root / "projects/crossing/init").mkdir(parents=True)
    (root / "projects/crossing/init/zones.json").write_text("{}")
    (root / HOME / "workspace.partial").mkdir(parents=True)
    (root / HOME / "workspace.partial/half").write_text("torn")
    share.prepare(CROSSING, RUN, a_claim())
    assert [path.name for path in (root / HOME / "workspace").iterdir()] == ["zones.json"]
    assert not (root / HOME / "workspace.partial").exists()


def test_preparing_again_keeps_what_the_program_has_written(share: SharedDirectory, root: Path) -> None:
    share.prepare(CROSSING, RUN, a_claim())
    (root / HOME / "workspace/frame").write_text("1")
    share.prepare(CROSSING, RUN, a_claim())
    assert (root / HOME / "workspace/frame").read_text() == "1"


def test_each_claim_has_its_own_directory(share: SharedDirectory) -> None:
    first = share.prepare(CROSSING, RUN, a_claim(1))
    second = share.prepare(CROSSING, RUN, a_claim(3))
    assert first.workspace != second.workspace


# --- events and output ---


def test_a_started_event_shows_as_started_and_a_torn_line_does_not(share: SharedDirectory, root: Path) -> None:
    share.publish_run(CROSSING, RUN.created, a_claim())
    share.prepare(CROSSING, RUN, a_claim())
    with (root / HOME / "events.jsonl").open("w") as file:
        file.write('{"event": "star')
    assert share.read_run(CROSSING, RUN.created).started_at is None
    (root / HOME / "events.jsonl").unlink()
    share.add_event(CROSSING, RUN, a_claim(), NOW, "started", node="a")
    assert share.read_run(CROSSING, RUN.created).started_at == NOW


SUCCEEDED = a_run(1, "detect", a_claim(), done(), output_published=False)
OUTPUT = "projects/crossing/output/0001-detect"


def test_an_accepted_output_is_published_once(share: SharedDirectory, root: Path) -> None:
    share.prepare(CROSSING, RUN, a_claim())
    (root / HOME / "output/report.html").write_text("<p>42</p>")
    share.publish_output(CROSSING, SUCCEEDED)
    share.publish_output(CROSSING, SUCCEEDED)
    assert (root / OUTPUT / "report.html").read_text() == "<p>42</p>"
    assert not list((root / "tmp").iterdir())


def test_an_output_appears_whole_or_not_at_all(
    share: SharedDirectory, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share.prepare(CROSSING, RUN, a_claim())
    for number in range(3):
        (root / HOME / f"output/{number}").write_text("x")
    fsync, calls = os.fsync, []

    def fails_at_the_second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails_at_the_second)
        with pytest.raises(ShareUnavailable, match="full"):
            share.publish_output(CROSSING, SUCCEEDED)
    assert not (root / OUTPUT).exists()
    assert not list((root / "tmp").iterdir()), "the half copy takes space that is missing already"
    share.publish_output(CROSSING, SUCCEEDED)
    assert len(list((root / OUTPUT).iterdir())) == 3


def test_the_loser_of_a_race_for_the_output_removes_its_copy(
    share: SharedDirectory, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share.prepare(CROSSING, RUN, a_claim())
    (root / HOME / "output/report.html").write_text("ours")
    rename = Path.rename

    def another_was_first(path: Path, target: Path) -> Path:
        (root / OUTPUT).mkdir(parents=True)
        (root / OUTPUT / "report.html").write_text("theirs")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", another_was_first)
    share.publish_output(CROSSING, SUCCEEDED)
    assert (root / OUTPUT / "report.html").read_text() == "theirs"
    assert not list((root / "tmp").iterdir())
