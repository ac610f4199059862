"""From measurements to the lines of a small chart: few points, round axes, and a gap where nothing was measured.

Only geometry and numbers; the template draws them, so every word is escaped as everywhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from math import floor, log
from statistics import median_low

from readonly_ui.words import duration

WIDTH, HEIGHT = 300, 90
"""Of the plot alone, in the drawing's own units; a line has at most one point in each column."""
MISSED = 3
"""A line is broken where more than so many measurements in a row, or columns, are empty."""
AROUND = 5
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1024)
Times = Sequence[int]
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    label: str
    values: Values
    peaks: Values = ()  # where ``values`` are means


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """``top``: what it reaches at least (100 %, the memory there is); ``base``: of whose powers round numbers are."""

    show: Callable[[float], str]
    top: float = 0.0
    base: int = 10  # 1024 for bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What time a chart shows, in seconds since 1970, and how its moments are told."""

    began: float
    ended: float
    until_now: bool  # moments are counted back from the end; else onwards from the beginning

    def column(self, time: float) -> int:
        return round(WIDTH * (time - self.began) / self.span)

    @property
    def span(self) -> float:
        return max(self.ended - self.began, 1.0)

    @property
    def moments(self) -> Mapping[float, str]:
        """Column -> what it says. The middle of an odd time would be no round number."""
        half, whole = duration(timedelta(seconds=self.span / 2)), duration(timedelta(seconds=self.span))
        if self.until_now:
            return {0.0: f"{whole} ago", WIDTH / 2: half, float(WIDTH): "now"}
        return {0.0: "start", float(WIDTH): whole}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    label: str
    path: str
    latest: str
    peak: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    id: str
    title: str
    lines: Sequence[Drawn]
    levels: Mapping[float, str]  # height of a rule -> what it says
    moments: Mapping[float, str]


def chart(id_: str, title: str, times: Times, lines: Sequence[Line], window: Window, axis: Axis) -> Chart | None:
    """None if none of the lines has a single value; those without are left out."""
    measured = [(line, *_known(times, line, window)) for line in lines]
    measured = [(line, points, highest) for line, points, highest in measured if points]
    if not measured:
        return None
    top = rounded(max(value for _, points, _ in measured for _, value in points), axis)
    drawn = [
        Drawn(
            label=line.label,
            path=path(points, window, top),
            latest=axis.show(points[-1][1]),
            peak=axis.show(highest),
        )
        for line, points, highest in measured
    ]
    return Chart(
        id=id_,
        title=title,
        lines=drawn,
        levels={HEIGHT * (1 - part): axis.show(top * part) for part in (0.0, 0.5, 1.0)},
        moments=window.moments,
    )


Points = Sequence[tuple[int, float]]


def _known(times: Times, line: Line, window: Window) -> tuple[Points, float]:
    """The line's values within the window, and the highest of all."""
    shown = [window.began <= time <= window.ended for time in times]
    points = [
        (time, value) for time, value, yes in zip(times, line.values, shown, strict=True) if yes and value is not None
    ]
    peaks = [value for value, yes in zip(line.peaks, shown, strict=False) if yes and value is not None]
    return points, max([*peaks, *(value for _, value in points)], default=0.0)


def rounded(highest: float, axis: Axis) -> float:
    """Where the axis ends: at what it must reach or, beyond that, at a round number."""
    if highest <= axis.top:
        return axis.top or 1.0
    power = float(axis.base) ** floor(log(highest, axis.base))
    return power * next(step for step in STEPS if step * power >= highest * (1 - 1e-9))


def path(points: Points, window: Window, top: float) -> str:
    """An SVG path through the mean of each column, which begins anew behind each gap."""
    return "".join(_stretch(columns, top) for columns in _unbroken(points, window))


def _stretch(columns: Mapping[int, list[float]], top: float) -> str:
    at = [f"{x} {HEIGHT * (1 - min(sum(found) / len(found) / top, 1.0)):.1f}" for x, found in columns.items()]
    return f"M{at[0]}" + ("".join(f"L{one}" for one in at[1:]) or "h.1")  # a single point is a dot


def _unbroken(points: Points, window: Window) -> Iterator[Mapping[int, list[float]]]:
    """Column -> its values, for each stretch that was measured throughout."""
    steps = [after - before for (before, _), (after, _) in pairwise(points)]
    columns: dict[int, list[float]] = {}
    for index, (time, value) in enumerate(points):
        if index and _is_gap(steps, index - 1, window):
            yield columns
            columns = {}
        columns.setdefault(window.column(time), []).append(value)
    if columns:
        yield columns


def _is_gap(steps: Sequence[int], index: int, window: Window) -> bool:
    """Is it longer than what is usual there? Old measurements are coarser than new ones."""
    if steps[index] <= MISSED * window.span / WIDTH:
        return False
    return steps[index] > MISSED * median_low(steps[max(index - AROUND, 0) : index + AROUND + 1])
