"""Rows that fold into coarser ones, and the series that a chart is drawn from."""

from math import isnan, nan

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.measurements import (
    Recorded,
    RecordedRing,
    Resolution,
    Ring,
    Row,
    Series,
    add,
    fold,
    in_order,
    resume,
    rows_since,
    series,
)

SMALL = (Resolution(2, 10), Resolution(60, 10), Resolution(900, 10))
TIMES = st.lists(st.integers(min_value=0, max_value=5000), max_size=200)


def row(time: int, *values: float) -> Row:
    return Row(time, values or (1.0,), values or (1.0,))


def record(*rows: Row, columns: tuple[str, ...] = ("cpu",)) -> Recorded:
    """What a file with small rings would hold after these rows."""
    rings, kept = tuple(Ring(one) for one in SMALL), [[], [], []]  # type: tuple[Ring, ...], list[list[Row]]
    for one in rows:
        rings, slots = add(rings, one)
        for slot in slots:
            kept[slot.ring].append(slot.row)
    found = (
        RecordedRing(ring.resolution, ring.newest, in_order(done[-ring.resolution.slots :], lambda one: one.time))
        for ring, done in zip(rings, kept, strict=True)
    )
    return Recorded(columns, tuple(found))


def test_a_step_is_folded_when_the_first_row_after_it_comes() -> None:
    found = record(*(row(time, float(time)) for time in range(0, 62, 2)))
    assert found.rings[1].rows == (Row(0, (29.0,), (58.0,)),)
    assert record(*(row(time, float(time)) for time in range(0, 60, 2))).rings[1].rows == ()


def test_what_was_not_measured_counts_neither_for_the_mean_nor_for_the_peak() -> None:
    folded = fold([row(61, 1.0, nan), row(63, nan, nan), row(65, 3.0, nan)], 60)
    assert (folded.time, folded.values[0], folded.peaks[0]) == (60, 2.0, 3.0)
    assert isnan(folded.values[1])
    assert isnan(folded.peaks[1])


def test_a_peak_survives_two_foldings() -> None:
    """A minute's worst two seconds still show after a day."""
    rows = [row(time, 100.0 if time == 30 else 0.0) for time in range(0, 962, 2)]
    coarsest = record(*rows).rings[2].rows
    assert [(one.time, one.peaks) for one in coarsest] == [(0, (100.0,))]
    assert coarsest[0].values[0] < 1.0


@given(TIMES)
def test_whatever_the_clock_does_little_is_kept_back_and_the_newest_row_is_the_last(times: list[int]) -> None:
    rings = tuple(Ring(one) for one in SMALL)
    for time in times:
        rings, slots = add(rings, row(time))
        assert slots[0].row.time == time
        assert slots[0].number == rings[0].newest
        assert [len(ring.unfolded) <= 60 for ring in rings] == [True] * 3
    assert rings[0].newest == len(times)


def test_a_clock_that_stands_still_makes_no_step_endless() -> None:
    """Its rows are kept in memory until they are folded."""
    rings = tuple(Ring(one) for one in SMALL)
    for _ in range(5000):
        rings, _ = add(rings, row(100))
    assert max(len(ring.unfolded) for ring in rings) <= 60
    assert rings[2].newest > 0


@given(TIMES, st.integers(min_value=0, max_value=5000))
def test_a_series_goes_forward_in_time_and_ends_with_the_newest_row(times: list[int], since: int) -> None:
    found = record(*map(row, times))
    drawn = series([found], since)
    assert list(drawn.times) == sorted(set(drawn.times))
    assert all(time >= since for time in drawn.times)
    if times and times[-1] >= since and times[-1] == max(times):  # a clock that went back is behind what it wrote
        assert drawn.times[-1] == times[-1]


@given(st.integers(min_value=1, max_value=400), st.integers(min_value=0, max_value=400))
def test_after_a_restart_the_rings_go_on_as_if_there_had_been_none(count: int, cut: int) -> None:
    """With large rings, so that all rows of the step that is not over are still there."""
    rows = [row(2 * index, float(index)) for index in range(count)]
    large = tuple(Resolution(one.step, 500) for one in SMALL)
    whole, first = tuple(map(Ring, large)), tuple(map(Ring, large))
    kept: list[list[Row]] = [[], [], []]
    for one in rows:
        whole, _ = add(whole, one)
    for one in rows[:cut]:
        first, slots = add(first, one)
        for slot in slots:
            kept[slot.ring].append(slot.row)
    recorded = tuple(RecordedRing(ring.resolution, ring.newest, tuple(kept[i])) for i, ring in enumerate(first))
    again = resume(Recorded(("cpu",), recorded))
    for one in rows[cut:]:
        again, _ = add(again, one)
    assert again == whole


def test_the_finest_rows_that_reach_back_are_chosen_and_the_last_step_stays_fine() -> None:
    found = record(*(row(time) for time in range(0, 302, 2)))
    assert [one.time for one in rows_since(found, 290)] == list(range(290, 302, 2))
    assert [one.time for one in rows_since(found, 0)] == [0, 60, 120, 180, 240, 300]


def test_a_young_files_finest_rows_are_all_there_is() -> None:
    found = record(*(row(time) for time in range(1000, 1010, 2)))
    assert [one.time for one in rows_since(found, 0)] == [1000, 1002, 1004, 1006, 1008]


def test_files_with_other_columns_become_one_series_with_gaps() -> None:
    before, after = record(row(10, 1.0)), record(row(20, 2.0, 0.5), columns=("cpu", "gpu_memory:a"))
    assert series([before, after]) == Series(
        times=(10, 20),
        columns={"cpu": (1.0, 2.0), "gpu_memory:a": (None, 0.5)},
        peaks={"cpu": (1.0, 2.0), "gpu_memory:a": (None, 0.5)},
    )


def test_a_column_that_nobody_measured_is_left_out() -> None:
    found = series([record(row(10, 1.0, nan), columns=("cpu", "swap"))])
    assert set(found.columns) == {"cpu"}


def test_after_the_clock_was_set_back_the_newest_rows_count() -> None:
    found = record(*map(row, (5000, 5002, 100, 102)))
    assert series([found]).times == (100, 102)


def test_nothing_measured_is_an_empty_series() -> None:
    assert series([record()]) == series([]) == Series()
