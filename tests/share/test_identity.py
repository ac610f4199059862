"""Is this really the share? And what people read when it is not there, not ours, read-only or full."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.core.names import NodeName
from reconciler.errors import ShareUnavailable
from tests.fakes.build import CROSSING, a_claim, a_created, a_run, a_seen


def test_creating_a_share_twice_keeps_its_identity(tmp_path: Path) -> None:
    first = SharedDirectory.create(tmp_path / "share")
    assert SharedDirectory.create(tmp_path / "share") == first
    assert not list((tmp_path / "share/tmp").iterdir())


def test_a_directory_without_winslow_json_is_not_a_share(tmp_path: Path) -> None:
    with pytest.raises(ShareUnavailable, match=r"is the share mounted there.*winslow init --share"):
        SharedDirectory(tmp_path).identity()


def test_a_missing_directory_is_told_the_same_way(tmp_path: Path) -> None:
    with pytest.raises(ShareUnavailable, match="is the share mounted there"):
        SharedDirectory(tmp_path / "nowhere").read()


def test_a_mount_that_fell_off_gets_no_records(share: SharedDirectory, root: Path) -> None:
    """What is below an unmounted share is an ordinary local directory."""
    share.identity()
    root.rename(root.with_name("away"))
    (root / "tmp").mkdir(parents=True)
    with pytest.raises(ShareUnavailable):
        share.publish_project(CROSSING, a_seen(1))
    assert sorted(path.name for path in root.iterdir()) == ["tmp"]


def test_another_share_in_the_same_place_is_refused(share: SharedDirectory, root: Path) -> None:
    share.identity()
    (root / "winslow.json").write_text(json.dumps({"format": 1, "share": "another"}))
    with pytest.raises(ShareUnavailable, match="is now another share"):
        share.publish_project(CROSSING, a_seen(1))
    with pytest.raises(ShareUnavailable, match="is now another share"):
        share.read()


def test_a_share_of_a_newer_format_is_left_alone(share: SharedDirectory, root: Path) -> None:
    """What an older Winslow would make of it nobody knows."""
    (root / "winslow.json").write_text(json.dumps({"format": 3, "share": share.identity()}))
    with pytest.raises(ShareUnavailable, match="update Winslow here"):
        share.publish_project(CROSSING, a_seen(1))


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', "\udcff"])
def test_a_damaged_identity_file_is_explained(share: SharedDirectory, root: Path, content: str) -> None:
    (root / "winslow.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ShareUnavailable, match="restore it from a backup"):
        share.identity()


def test_a_stale_mount_is_a_fault_for_people_too(share: SharedDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then every call fails, also those that only ask whether a file is there."""

    def stale(path: Path, *_: object, **__: object) -> bytes:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(Path, "read_bytes", stale)
    monkeypatch.setattr(Path, "exists", stale)
    with pytest.raises(ShareUnavailable, match="remount it"):
        share.identity()


def test_a_read_only_share_is_told_and_left_untouched(mount: Callable[..., Path]) -> None:
    root = mount("sealed", "size=1m")
    SharedDirectory.create(root)
    share = SharedDirectory(root, writer="a")
    share.publish_project(CROSSING, a_seen(1))
    mount("sealed", "remount,ro")
    before = sorted(str(path) for path in root.rglob("*"))
    for attempt in (
        lambda: share.publish_project(CROSSING, a_created(1)),
        lambda: share.publish_run(CROSSING, a_created(1), a_claim()),
        lambda: share.prepare(CROSSING, a_run(1, "detect", a_claim()), a_claim()),
        lambda: share.heartbeat(NodeName("a"), "i1"),
        lambda: share.try_lock("publisher"),
    ):
        with pytest.raises(ShareUnavailable, match="mounted read-only: remount it read-write"):
            attempt()
    assert share.read().history(CROSSING).records, "reading goes on"
    assert sorted(str(path) for path in root.rglob("*")) == before


def test_a_full_share_is_told_and_nothing_half_written_stays(mount: Callable[..., Path]) -> None:
    root = mount("full", "size=1m,nr_inodes=100")
    SharedDirectory.create(root)
    share = SharedDirectory(root, writer="a")
    share.publish_project(CROSSING, a_seen(1))
    (root / "projects/crossing/init").mkdir()
    (root / "projects/crossing/init/video").write_bytes(b"x" * 600_000)
    with pytest.raises(ShareUnavailable, match="the share is full: free some space"):
        share.prepare(CROSSING, a_run(1, "detect", a_claim()), a_claim())
    assert not (root / "projects/crossing/runs/0001-detect/1/workspace").exists()
    with (root / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError:
            pass
    with pytest.raises(ShareUnavailable, match="the share is full"):
        share.publish_project(CROSSING, a_created(1, number=2))
    assert not list((root / "tmp").iterdir())
    assert len(share.read().history(CROSSING).records) == 1
    (root / "filler").unlink()
    shutil.rmtree(root / "projects/crossing/init")
    assert share.publish_project(CROSSING, a_created(1, number=2)), "work goes on once there is space"
