"""The file of rings: fixed in size, and whatever bytes it holds, reading it tells the truth or nothing."""

import math

from hypothesis import given
from hypothesis import strategies as st

from reconciler.codec.ring import HALF, Shape, Writing, header, load
from reconciler.core.measurements import (
    NODE,
    NODE_GPU,
    RESOLUTIONS,
    RUN,
    RUN_GPU,
    Recorded,
    Resolution,
    Ring,
    Row,
    Slot,
    add,
    columns_of,
)

SMALL = Shape(("cpu", "memory", "gpu_power:GPU-a"), (Resolution(2, 7), Resolution(60, 5)))


class Disk:
    """Bytes that are written in parts, as a file is."""

    def __init__(self, shape: Shape = SMALL, note: dict[str, float] | None = None) -> None:
        self.shape = shape
        self.content = bytearray(header(shape, note or {}))
        self.writing = Writing(shape)
        self.rings = tuple(Ring(one) for one in shape.resolutions)

    def add(self, *rows: Row) -> "Disk":
        slots: list[Slot] = []
        for row in rows:
            self.rings, done = add(self.rings, row)
            slots += done
        for offset, part in self.writing.parts(slots):
            self.content += bytes(max(0, offset + len(part) - len(self.content)))
            self.content[offset : offset + len(part)] = part
        return self


def read(content: bytes | bytearray) -> Recorded:
    recorded = load(bytes(content))
    assert recorded is not None
    return recorded


def rows(*times: int) -> list[Row]:
    return [Row(time, (0.5, 2.0**30, 75.0), (0.5, 2.0**30, 75.0)) for time in times]


@given(st.lists(st.lists(st.integers(min_value=1, max_value=10**6), max_size=30), max_size=6))
def test_reading_back_yields_the_newest_rows_and_the_file_never_grows(flushes: list[list[int]]) -> None:
    """However the clock jumps, and however many rows come at once."""
    disk = Disk()
    for times in flushes:
        disk.add(*rows(*times))
    recorded = load(bytes(disk.content))
    assert recorded is not None
    times = [time for flush in flushes for time in flush]
    assert recorded.rings[0].newest == len(times)
    assert [row.time for row in recorded.rings[0].rows[-1:]] == times[-1:]
    assert {row.time for row in recorded.rings[0].rows} <= set(times[-7:])
    assert len(disk.content) <= SMALL.offset(1) + 5 * SMALL.size(1)


def test_a_row_comes_back_with_its_values_and_its_gaps() -> None:
    recorded = load(bytes(Disk().add(Row(100, (0.25, 3 * 2.0**30, math.nan), (0.25, 3 * 2.0**30, math.nan))).content))
    assert recorded is not None
    assert recorded.columns == SMALL.columns
    (row,) = recorded.rings[0].rows
    assert (row.time, row.values[:2]) == (100, (0.25, 3 * 2.0**30))
    assert math.isnan(row.values[2])


@given(st.floats(min_value=0, max_value=2.0**45))
def test_sizes_keep_three_digits(size: float) -> None:
    """From nothing to 32 TiB: enough for a chart."""
    recorded = load(bytes(Disk().add(Row(100, (0.0, size, 0.0), (0.0, size, 0.0))).content))
    assert recorded is not None
    assert math.isclose(recorded.rings[0].rows[0].values[1], size, rel_tol=0.001, abs_tol=128)


def test_what_no_half_float_can_hold_is_the_largest_that_can() -> None:
    recorded = load(bytes(Disk().add(Row(100, (1e9, 0.0, math.inf), (1e9, 0.0, math.inf))).content))
    assert recorded is not None
    assert recorded.rings[0].rows[0].values == (HALF, 0.0, HALF)


def test_the_note_comes_back_exactly() -> None:
    recorded = load(bytes(Disk(note={"cpu": 12.345678901, "peak": 64.0 * 2**20}).content))
    assert recorded is not None
    assert recorded.note == {"cpu": 12.345678901, "peak": 64.0 * 2**20}


@given(st.binary(max_size=500))
def test_garbage_reads_as_nothing(content: bytes) -> None:
    assert load(content) is None


@given(st.floats(min_value=0, max_value=1), st.lists(st.floats(min_value=0, max_value=0.999), max_size=9), st.binary())
def test_of_a_torn_or_damaged_file_no_false_row_is_read(cut: float, places: list[float], garbage: bytes) -> None:
    disk = Disk().add(*rows(*range(2, 400, 2)))
    true = {row for ring in read(disk.content).rings for row in ring.rows}
    body = len(disk.content) - SMALL.start
    damaged = disk.content[: SMALL.start + int(cut * body)]
    for place in places:
        offset = SMALL.start + int(place * body)
        damaged[offset : offset + len(garbage)] = garbage[: max(0, len(damaged) - offset)]
    assert {row for ring in read(damaged).rings for row in ring.rows} <= true


def test_each_byte_of_a_row_counts_for_its_checksum() -> None:
    disk = Disk().add(*rows(2))
    whole = bytes(disk.content)
    for offset in range(SMALL.start + SMALL.size(0), SMALL.start + 2 * SMALL.size(0)):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x40
        assert read(damaged).rings[0].rows == ()


def test_what_an_older_round_of_the_ring_left_behind_is_not_read() -> None:
    """A page that a power failure kept from the disk holds the rows from before."""
    disk = Disk().add(*rows(2, 4, 6))
    page = slice(SMALL.offset(0) + 2 * SMALL.size(0), SMALL.offset(0) + 3 * SMALL.size(0))
    old = disk.content[page]
    disk.add(*rows(*range(8, 40, 2)))
    disk.content[page] = old
    times = [row.time for row in read(disk.content).rings[0].rows]
    assert 4 not in times
    assert times[-1] == 38


def test_a_header_that_promises_the_moon_is_not_believed() -> None:
    """Whoever reads must not be made to take a gigabyte."""
    for line in (
        b'{"format": "winslow-rings", "version": 1, "columns": ["a"], "rings": [[2, 999999999]], "note": {}}\n',
        b'{"format": "winslow-rings", "version": 1, "columns": [], "rings": [[2, 10]], "note": {}}\n',
        b'{"format": "winslow-rings", "version": 1, "columns": ["a"], "rings": [[0, 10]], "note": {}}\n',
        b'{"format": "winslow-rings", "version": 2, "columns": ["a"], "rings": [[2, 10]], "note": {}}\n',
        b'{"format": "winslow-rings", "version": 1, "columns": ["a"], "rings": [[2]], "note": {}}\n',
        b"[" * 100_000,
    ):
        assert load(line.ljust(8192, b"\0")) is None


def size(columns: tuple[str, ...]) -> int:
    shape = Shape(columns)
    last = len(RESOLUTIONS) - 1
    return shape.offset(last) + shape.size(last) * RESOLUTIONS[last].slots


def test_files_stay_below_a_megabyte() -> None:
    """A node with eight GPUs, and any run."""
    gpus = [f"GPU-{number:08d}-0000-1111-2222-333333333333" for number in range(8)]
    assert size(columns_of(NODE, NODE_GPU, gpus)) < 10**6
    assert size(columns_of(RUN, RUN_GPU, gpus)) < 10**6
    assert Shape(columns_of(NODE, NODE_GPU, gpus)).start == 4096
