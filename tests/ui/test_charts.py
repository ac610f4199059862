"""Lines that tell the truth: means, gaps where nothing was measured, round axes, and few bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from readonly_ui.charts import HEIGHT, WIDTH, Axis, Chart, Line, Window, chart, rounded

SHARE = Axis(show=lambda share: f"{100 * share:.0f} %", top=1.0)
HOUR = Window(began=0, ended=3600, until_now=True)


def drawn(
    times: Sequence[int], values: Sequence[float | None], window: Window = HOUR, axis: Axis = SHARE
) -> Chart | None:
    return chart("chart-1", "CPU", times, [Line(label="", values=values)], window, axis)


def points(made: Chart | None) -> list[list[tuple[float, float]]]:
    """Of each unbroken stretch its (x, y)."""
    assert made is not None
    stretches = made.lines[0].path.split("M")[1:]
    return [[(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", one)] for one in stretches]


def test_full_use_stands_at_the_top_and_none_at_the_bottom() -> None:
    ((first, *_, last),) = points(drawn(list(range(0, 3601, 2)), [0.0] * 900 + [1.0] * 901))

    assert first == (0, HEIGHT)
    assert last == (WIDTH, 0)


def test_an_hour_of_measurements_is_one_point_a_column_and_small() -> None:
    made = drawn(list(range(0, 3601, 2)), [(n * 7919 % 1000) / 1000 for n in range(1801)])

    (line,) = points(made)
    assert len(line) == WIDTH + 1
    assert made is not None
    assert len(made.lines[0].path) < 4000


def test_a_column_is_the_mean_of_what_was_measured_in_it() -> None:
    ((point,),) = points(drawn([996, 998], [0.2, 0.8]))

    assert point[1] == HEIGHT / 2


@pytest.mark.parametrize("silence", [range(1000, 1600), range(1000, 1100)])
def test_a_line_is_broken_where_nothing_was_measured(silence: range) -> None:
    times = [time for time in range(0, 3600, 2) if time not in silence]

    before, after = points(drawn(times, [0.5] * len(times)))

    assert before[-1][0] == HOUR.column(998)
    assert after[0][0] == HOUR.column(silence.stop)


def test_values_that_nobody_could_measure_are_a_gap_too() -> None:
    times = list(range(0, 3600, 2))

    assert len(points(drawn(times, [None if 1000 <= time < 1600 else 0.5 for time in times]))) == 2


def test_older_measurements_that_are_coarser_make_no_gaps() -> None:
    times = [*range(0, 7200, 60), *range(7200, 7500, 2)]

    assert len(points(drawn(times, [0.5] * len(times), Window(began=0, ended=7500, until_now=False)))) == 1


def test_a_run_of_a_minute_is_one_line() -> None:
    times = list(range(0, 60, 2))

    assert len(points(drawn(times, [0.5] * len(times), Window(began=0, ended=60, until_now=False)))) == 1


def test_what_lies_outside_the_window_is_not_drawn() -> None:
    assert drawn([5000, 5002], [0.5, 0.5]) is None


def test_without_a_single_value_there_is_no_chart() -> None:
    assert drawn([0, 2], [None, None]) is None
    assert drawn([], []) is None


def test_the_numbers_beside_say_the_latest_and_the_peak_also_of_folded_rows() -> None:
    line = Line(label="", values=[0.1, 0.4, None], peaks=[0.2, 0.9, None])

    made = chart("chart-1", "CPU", [0, 60, 120], [line], HOUR, SHARE)

    assert made is not None
    assert (made.lines[0].latest, made.lines[0].peak) == ("40 %", "90 %")


@pytest.mark.parametrize(
    ("highest", "axis", "top"),
    [
        (0.3, SHARE, 1.0),
        (0.0, Axis(show=str), 1.0),
        (260.0, Axis(show=str), 500.0),
        (1000.0, Axis(show=str), 1000.0),
        (0.03, Axis(show=str), 0.05),
        (83 * 2**20, Axis(show=str, base=1024), 100 * 2**20),
        (600 * 2**20, Axis(show=str, base=1024), 2**30),
        (17 * 2**30, Axis(show=str, top=16 * 2**30, base=1024), 20 * 2**30),
    ],
)
def test_axes_end_at_what_there_is_or_at_a_round_number(highest: float, axis: Axis, top: float) -> None:
    assert rounded(highest, axis) == pytest.approx(top)


def test_moments_are_told_without_a_time_zone() -> None:
    assert list(HOUR.moments.values()) == ["1 h ago", "30 min", "now"]
    assert list(Window(began=0, ended=11520, until_now=False).moments.values()) == ["start", "3 h 12 min"]
