"""The pure parts of traffic-flow: following people, scale, speeds. No files, no video."""

from __future__ import annotations

import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed: `make setup` provides it")
pytest.importorskip("traffic", reason="traffic-flow is not installed: `make setup` provides it")

import cv2
import numpy as np

from traffic.assignment import IMPOSSIBLE, pairs
from traffic.background import background_of, foreground, soften
from traffic.ground import Overhead, ground_of
from traffic.people import Finder
from traffic.perspective import Perspective, fit
from traffic.records import Detection, Scene, TrackPoint
from traffic.statistics import paths_of, speeds, summary
from traffic.track import bridged, fill
from traffic.tracker import Rules, follow
from traffic.truth import Truth, comparison

FPS = 10.0
RULES = Rules(max_gap=2.0, min_track=1.0)
DARK, LIGHT = (40.0, 128.0, 128.0), (180.0, 128.0, 128.0)
SCENE = Scene(
    video="walk.mp4",
    width=400,
    height=300,
    fps=FPS,
    frames_read=40,
    frame_step=1,
    perspective_slope=0.25,
    perspective_offset=10.0,
)


def person(frame: int, x: float, y: float, clothes: tuple[float, float, float] = DARK) -> Detection:
    """Somebody 80 pixels tall whose feet are at (x, y)."""
    return Detection(frame, x - 16, y - 80, 32, 80, 0.6, *clothes, *clothes)


def test_two_people_who_cross_keep_their_identities() -> None:
    """Both walk 5 pixels a frame towards and past each other; at the middle they stand at one place."""
    frames = range(40)
    seen = [person(frame, 100 + 5 * frame, 200, DARK) for frame in frames]
    seen += [person(frame, 300 - 5 * frame, 200, LIGHT) for frame in frames]
    people = follow(seen, FPS, RULES)
    assert [{sighting.upper_l for sighting in one} for one in people] == [{40.0}, {180.0}]
    assert [len(one) for one in people] == [40, 40]


def test_a_gap_is_bridged_with_a_straight_line() -> None:
    """Hidden for a second, found again: one person, and the missing frames lie between."""
    seen = [person(frame, 100 + 4 * frame, 200) for frame in range(40) if not 15 <= frame < 25]
    people = follow(seen, FPS, RULES)
    assert len(people) == 1
    assert bridged(people[0], frame_step=1) == 1
    points = fill(1, people[0], SCENE)
    assert [point.frame for point in points] == list(range(40))
    assert [point.seen for point in points].count(0) == 10
    assert points[20].foot_x == pytest.approx(180)


def test_who_is_gone_for_longer_than_the_longest_gap_counts_anew() -> None:
    """The bridge of the test above must have an end."""
    seen = [person(frame, 100, 200) for frame in (*range(20), *range(45, 65))]
    assert len(follow(seen, FPS, RULES)) == 2


def test_a_flicker_is_nobody() -> None:
    """Two sightings in a row are shorter than min_track."""
    assert follow([person(0, 100, 200), person(1, 101, 200)], FPS, RULES) == []


def test_nobody_jumps_across_the_picture() -> None:
    """The same clothes far away are another person, even with nobody else to choose from."""
    seen = [person(frame, 100 if frame < 20 else 350, 200) for frame in range(40)]
    assert len(follow(seen, FPS, RULES)) == 2


def test_the_sum_of_differences_is_least_and_impossible_pairs_are_left_out() -> None:
    """Taking the nearest first would give (0, 0) and then the expensive (1, 1)."""
    assert pairs(np.array([[1.0, 2.0], [2.0, 9.0]])) == [(0, 1), (1, 0)]
    assert pairs(np.array([[1.0, IMPOSSIBLE], [IMPOSSIBLE, IMPOSSIBLE]])) == [(0, 0)]


def test_people_whose_outlines_merge_are_found_one_by_one() -> None:
    """Two bodies side by side without a gap between them, one alone, and a speck."""
    mask = np.zeros((300, 400), np.uint8)
    for left in (100, 124, 300):
        mask[120:200, left : left + 24] = 1
    mask[50:54, 50:54] = 1
    finder = Finder((300, 400), Perspective(0.0, 80.0), least_height=40)
    feet = sorted(box.foot for box, _ in finder.find(mask, threshold=0.5))
    assert len(feet) == 3
    assert [x for x, _ in feet] == pytest.approx([112, 136, 312], abs=8)
    assert [y for _, y in feet] == pytest.approx([200, 200, 200], abs=6)


def test_the_background_is_the_scene_without_who_passes() -> None:
    """A white square is elsewhere in each frame, so the median never sees it, and the mask does."""
    frames = [np.full((120, 160, 3), 90, np.uint8) for _ in range(9)]
    for number, frame in enumerate(frames):
        cv2.rectangle(frame, (number * 16, 40), (number * 16 + 12, 80), (255, 255, 255), cv2.FILLED)
    background = background_of(frames)
    assert int(np.ptp(background)) == 0
    mask = foreground(frames[4], soften(background))
    assert mask[60, 70] == 1
    assert mask[60, 20] == 0


def test_perspective_is_learnt_in_spite_of_outliers() -> None:
    """Height 0.25 * row + 10, and three groups taken for one person."""
    people = [(row, round(0.25 * row + 10)) for row in range(100, 300, 5)] + [(150, 140), (200, 30), (250, 190)]
    learnt = fit(people)
    assert learnt is not None
    assert learnt.height(200) == pytest.approx(60, abs=2)
    assert fit(people[:5]) is None


def test_speed_follows_from_the_scale() -> None:
    """2 pixels a frame, 10 frames a second, 10 pixels a metre: 2 m/s."""
    points = [TrackPoint(1, frame, frame / FPS, 50 + 2.0 * frame, 100, 80, 1) for frame in range(40)]
    speed = speeds(paths_of(points)[0], Overhead(10).metres)
    assert speed == pytest.approx(np.full(40, 2.0), rel=0.01)


def test_the_perspective_scale_makes_every_body_equally_tall() -> None:
    """A step sideways of one body height in pixels is one body height in metres, near and far."""
    ground = ground_of(SCENE, None, person_height=1.7, field_of_view=45)
    for row in (100.0, 250.0):
        height = 0.25 * row + 10
        ends = ground.metres(np.array([[50.0, row], [50.0 + height, row]]))
        assert float(np.linalg.norm(ends[1] - ends[0])) == pytest.approx(1.7)


def test_the_comparison_with_the_truth_shows_what_is_off() -> None:
    """Two people in 40 frames, one of them seen half the time, against a truth of 3 and 1.5."""
    points = [TrackPoint(1, frame, frame / FPS, 50, 100, 80, 1) for frame in range(40)]
    points += [TrackPoint(2, frame, frame / FPS, 90, 100, 80, frame % 2) for frame in range(40)]
    figures = summary(points, SCENE, [])
    assert figures["people_per_frame"] == 1.5
    assert figures["people_per_frame_with_bridged_gaps"] == 2.0
    compared = comparison(Truth(source="made up", people=3, people_per_frame=1.5), figures)
    assert compared["people"] == {"published": 3, "ours": 2, "difference": -1}
    assert compared["people_per_frame"]["difference"] == 0
