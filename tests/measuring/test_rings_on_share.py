"""Files of rings where they lie: who goes on in which, what is removed, and what a full share costs."""

import errno
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.rings import MOST_FILES, RingFile, Rings
from reconciler.core.measurements import Row, Slot
from reconciler.core.names import NodeName
from reconciler.errors import ShareUnavailable
from tests.measuring.conftest import KEY

NODE = NodeName("lab-1")
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def at(time: datetime, number: int = 1, columns: int = 1) -> Slot:
    return Slot(0, number, Row(int(time.timestamp()), (0.5,) * columns, (0.5,) * columns))


def write(file: RingFile, *slots: Slot, note: dict[str, float] | None = None) -> None:
    file.write(slots, note or {})
    file.close()


def names(share: SharedDirectory) -> list[str]:
    return sorted(path.name for path in share.layout.metrics(NODE).iterdir())


def test_a_restarted_node_goes_on_in_its_file(share: SharedDirectory) -> None:
    rings = Rings(share)
    write(rings.open_node(NODE, ["cpu"], NOW), at(NOW))
    again = rings.open_node(NODE, ["cpu"], NOW)
    again.close()
    assert again.recorded is not None
    assert again.recorded.rings[0].newest == 1
    assert names(share) == ["00000001.rings"]


def test_a_gpu_that_appears_begins_another_file_and_one_that_comes_and_goes_does_not(share: SharedDirectory) -> None:
    """Else a loose GPU would fill the share."""
    rings = Rings(share)
    for columns in (["cpu"], ["cpu", "gpu_power:a"], ["cpu"], ["cpu", "gpu_power:a"], ["cpu"]):
        file = rings.open_node(NODE, columns, NOW)
        write(file, at(NOW, columns=len(file.columns)))
    assert names(share) == ["00000001.rings", "00000002.rings"]
    assert file.columns == ("cpu", "gpu_power:a")


def test_files_that_ended_more_than_31_days_ago_are_removed_and_younger_ones_read(share: SharedDirectory) -> None:
    rings = Rings(share)
    for days, column in ((40, "a"), (20, "b"), (0, "c")):
        file = rings.open_node(NODE, [column], NOW - timedelta(days=days))
        write(file, at(NOW - timedelta(days=days), columns=len(file.columns)))
    rings.open_node(NODE, ["c"], NOW).close()
    assert names(share) == ["00000002.rings", "00000003.rings"]
    assert len(rings.read_node(NODE, NOW - timedelta(days=30))) == 2
    assert len(rings.read_node(NODE, NOW)) == 1


def test_there_are_never_many_files(share: SharedDirectory) -> None:
    rings = Rings(share)
    for number in range(MOST_FILES + 10):
        file = rings.open_node(NODE, [f"gpu_power:{number}"], NOW)
        write(file, at(NOW, columns=len(file.columns)))
    assert len(names(share)) <= MOST_FILES + 2
    assert names(share)[-1] == f"{MOST_FILES + 10:08d}.rings"


def test_a_damaged_file_is_begun_anew_and_says_nothing_to_readers(share: SharedDirectory) -> None:
    rings = Rings(share)
    file = rings.open_node(NODE, ["cpu"], NOW)
    write(file, at(NOW))
    path = share.layout.metrics(NODE) / "00000001.rings"
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    assert rings.read_node(NODE, NOW) == ()
    write(rings.open_node(NODE, ["cpu"], NOW), at(NOW))
    assert len(rings.read_node(NODE, NOW)) == 1


def test_what_else_lies_there_is_left_alone(share: SharedDirectory) -> None:
    share.layout.metrics(NODE).mkdir(parents=True)
    (share.layout.metrics(NODE) / "notes.txt").write_text("mine")
    write(Rings(share).open_node(NODE, ["cpu"], NOW), at(NOW))
    assert names(share) == ["00000001.rings", "notes.txt"]


def test_a_node_that_never_measured_anything_has_nothing_to_read(share: SharedDirectory) -> None:
    assert Rings(share).read_node(NODE, NOW) == ()
    assert Rings(share).read_run(KEY) is None


def test_a_runs_file_lies_in_its_claims_directory_and_keeps_its_note(share: SharedDirectory) -> None:
    rings = Rings(share)
    write(rings.open_run(KEY, ["cpu"]), at(NOW), note={"cpu": 1.5})
    again = rings.open_run(KEY, ["cpu"])
    write(again, at(NOW, 2), note={"cpu": 2.5})
    recorded = rings.read_run(KEY)
    assert recorded is not None
    assert (recorded.note, recorded.rings[0].newest) == ({"cpu": 2.5}, 2)
    directory = share.layout.claim(KEY.project, KEY.run, KEY.stage, KEY.number)
    assert [path.name for path in directory.iterdir()] == ["stats.rings"]


def test_a_claim_whose_directory_is_gone_is_not_made_again(share: SharedDirectory) -> None:
    """Its project was purged meanwhile."""
    directory = share.layout.claim(KEY.project, KEY.run, KEY.stage, KEY.number)
    directory.rmdir()
    with pytest.raises(ShareUnavailable):
        Rings(share).open_run(KEY, ["cpu"])
    assert not directory.exists()


def test_a_directory_that_is_not_the_share_gets_no_measurements(share: SharedDirectory) -> None:
    """A mount that fell off."""
    (share.layout.root / "winslow.json").unlink()
    with pytest.raises(ShareUnavailable):
        Rings(share).open_node(NODE, ["cpu"], NOW)
    assert not share.layout.metrics(NODE).exists()


class Full:
    def put(self, content: bytes, offset: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        pass


def test_a_full_share_is_told_in_the_shares_words(share: SharedDirectory) -> None:
    opened: Callable[[Path], Full] = lambda path: Full()  # noqa: E731
    file = Rings(share, open_=opened).open_node(NODE, ["cpu"], NOW)
    with pytest.raises(ShareUnavailable, match="the share is full"):
        file.write([at(NOW)], {})
