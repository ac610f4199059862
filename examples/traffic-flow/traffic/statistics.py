"""Figures about the tracks. Pure: points in, numbers out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from traffic.records import Scene, TrackPoint

Array = NDArray[np.float64]

SMOOTHING = 0.5
"""Standard deviation in seconds of the smoothing of paths before speeds are taken."""


@dataclass(frozen=True, slots=True)
class Path:
    """One person's way: `feet` (n, 2) in pixels, `seconds` (n,)."""

    track: int
    seconds: Array
    feet: Array


def paths_of(points: list[TrackPoint]) -> list[Path]:
    """One path per track, in the tracks' order."""
    ordered = sorted(points, key=lambda point: (point.track, point.frame))
    return [
        Path(
            identity,
            np.array([point.seconds for point in way]),
            np.array([(point.foot_x, point.foot_y) for point in way]),
        )
        for identity, way in (
            (key, list(group)) for key, group in groupby(ordered, lambda point: point.track)
        )
    ]


def smooth(path: Path) -> Path:
    """The same way without the jitter of single detections."""
    if len(path.seconds) < 3:
        return path
    sigma = SMOOTHING / float(np.median(np.diff(path.seconds)))
    margin = int(4 * sigma) + 1
    # Continued beyond both ends by odd reflection: any other rule would slow people down there.
    continued = np.pad(path.feet, ((margin, margin), (0, 0)), mode="reflect", reflect_type="odd")
    return replace(path, feet=gaussian_filter1d(continued, sigma, axis=0)[margin:-margin])


def speeds(path: Path, to_metres: Callable[[Array], Array]) -> Array:
    """(n,) metres per second along the smoothed path; empty if the path has fewer than three points."""
    if len(path.seconds) < 3:
        return np.empty(0)
    velocity = np.gradient(to_metres(smooth(path).feet), path.seconds, axis=0)
    speed: Array = np.linalg.norm(velocity, axis=1)
    return speed


def density(points: list[TrackPoint], scene: Scene, cell: int = 8) -> Array:
    """(rows, columns) of person-seconds in each `cell` x `cell` pixels, smoothed over 1.5 cells."""
    edges = [np.arange(0, size + cell, cell) for size in (scene.height, scene.width)]
    rows, columns = [point.foot_y for point in points], [point.foot_x for point in points]
    seconds = np.histogram2d(rows, columns, bins=edges)[0] * scene.frame_step / scene.fps
    smoothed: Array = gaussian_filter(seconds, 1.5)
    return smoothed


def summary(points: list[TrackPoint], scene: Scene, people_speeds: list[Array]) -> dict[str, float]:
    """The report's figures: counts, people a frame, speeds in metres per second."""
    frames = Counter(point.frame for point in points)
    everyone = [float(np.median(speed)) for speed in people_speeds if speed.size]
    return {
        "people": len({point.track for point in points}),
        "people_per_frame": round(sum(point.seen for point in points) / scene.frames_read, 2),
        "people_per_frame_with_bridged_gaps": round(len(points) / scene.frames_read, 2),
        "most_at_once": max(frames.values(), default=0),
        "frames_read": scene.frames_read,
        "seconds": round(scene.frames_read * scene.frame_step / scene.fps, 1),
        "median_speed": round(float(np.median(everyone)), 2) if everyone else 0.0,
        "fastest_person": round(max(everyone, default=0.0), 2),
    }
