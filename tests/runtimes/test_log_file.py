"""Writing log.jsonl, reading it, and what is recorded of it."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from reconciler.codec.log import progress_of, read_lines
from reconciler.codec.log_file import LogFile
from reconciler.codec.log_lines import Entry, stamp_of

SECOND = 1_000_000_000
BASE = 1_795_000_000 * SECOND


def out(number: int, text: str = "") -> Entry:
    return Entry(stamp_of(BASE + number * SECOND // 10), "stdout", text or f"line {number}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def write(path: Path, *entries: Entry) -> LogFile:
    log = LogFile(str(path))
    log.write(list(entries))
    log.close()
    return log


def test_a_torn_last_line_is_dropped_on_resume(path: Path) -> None:
    write(path, out(1), out(2))
    with path.open("ab") as file:
        file.write(out(3).encode()[:-5])
    write(path, out(4))
    assert [line.line for line in read_lines(path).lines] == ["line 1", "line 2", "line 4"]


def test_a_summary_holds_for_the_whole_file_also_after_a_resume(path: Path) -> None:
    write(path, out(1, "WINSLOW_RESULT: cars=3"), *(out(number) for number in range(2, 30)))
    summary = write(path, out(30, "x" * 600)).tally.summary()
    assert summary.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (summary.bytes, summary.lines, len(summary.tail)) == (path.stat().st_size, 30, 20)
    assert summary.tail[-2:] == ("line 29", "x" * 500)
    assert summary.results == {"cars": "3"}


def test_results_are_limited_in_number_and_length(path: Path) -> None:
    many = [out(n, f"WINSLOW_RESULT: key{n}={n}") for n in range(150)]
    log = write(path, out(0, "WINSLOW_RESULT: long=" + "x" * 2000), *many, out(0, "WINSLOW_RESULT: key1=new"))
    results = log.tally.summary().results
    assert (len(results), results["key1"], "long" in results) == (100, "new", False)


def test_a_write_that_failed_half_way_can_be_repeated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share was full in the middle of a batch."""
    log = LogFile(str(path))
    real = os.pwrite

    def full(file: int, data: bytes, at: int) -> int:
        real(file, data[:30], at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        log.write([out(1), out(2)])
    monkeypatch.setattr(os, "pwrite", real)
    log.write([out(1), out(2)])
    log.close()
    assert [line.line for line in read_lines(path).lines] == ["line 1", "line 2"]


def test_what_a_failed_fsync_threw_away_is_written_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full NFS share writes succeed, fsync fails once, and the kernel forgets the pages."""
    log = LogFile(str(path))
    log.write([out(1)])
    log.sync()
    kept = path.stat().st_size
    log.write([out(2)])

    def fail(descriptor: int) -> None:
        os.truncate(path, kept)
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="no space"):
            log.sync()
        with pytest.raises(OSError, match="no space"):
            log.write([out(3)])
    log.write([out(3)])
    log.close()
    assert [line.line for line in read_lines(path).lines] == ["line 1", "line 2", "line 3"]
    assert log.tally.summary().sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_fsync_that_is_due_and_fails_doubles_no_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LogFile(str(path))
    monkeypatch.setattr("reconciler.codec.log_file.FSYNC_EVERY", 0.0)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _fail)
        log.write([out(1)])
        with pytest.raises(OSError, match="no space"):
            log.sync_if_due()
    log.sync_if_due()
    log.close()
    assert [line.line for line in read_lines(path).lines] == ["line 1"]


def _fail(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "no space left")


def test_a_stream_is_read_on_from_the_second_of_its_last_line(path: Path) -> None:
    position = write(path, out(1), out(9), out(11), out(12)).tally.position("stdout")
    assert (position.since, position.skip) == (BASE // SECOND + 1, 2)


def test_a_clock_that_was_set_back_makes_a_stream_be_counted_from_its_beginning(path: Path) -> None:
    position = write(path, out(50), out(60), out(20)).tally.position("stdout")
    assert (position.since, position.skip) == (None, 3)


def test_pages_join_to_the_whole_log_and_hold_whole_lines(path: Path) -> None:
    write(path, *(out(number) for number in range(100)))
    with path.open("ab") as file:
        file.write(b'{"t":"torn')
    offset, seen = 0, []
    while lines := (page := read_lines(path, offset=offset, limit=500)).lines:
        seen += [line.line for line in lines]
        offset = page.next_offset
    assert seen == [f"line {number}" for number in range(100)]
    assert page.ended


def test_a_negative_offset_counts_from_the_end(path: Path) -> None:
    write(path, *(out(number) for number in range(100)))
    page = read_lines(path, offset=-150)
    assert [line.line for line in page.lines] == ["line 98", "line 99"]
    assert page.next_offset == path.stat().st_size
    assert len(read_lines(path, offset=-(10**9)).lines) == 100


def test_a_log_that_does_not_exist_yet_is_an_empty_page(path: Path) -> None:
    assert read_lines(path).lines == ()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["10 %", "frame 3 of 4, 75% done"], 75.0),
        (["12.5 %", "no number here"], 12.5),
        (["begin 0 % ... 40 %"], 40.0),
        (["140 %"], None),
        (["nothing"], None),
    ],
)
def test_progress_is_the_last_percentage_on_stdout(path: Path, texts: list[str], expected: float | None) -> None:
    write(path, *(out(1, text) for text in texts), Entry(stamp_of(BASE), "stderr", "99 %"))
    assert progress_of(read_lines(path).lines) == expected
