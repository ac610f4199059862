"""From pixels to metres on the ground. The camera is not calibrated: each way states what it assumes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traffic.errors import ParameterError
from traffic.records import Scene

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Overhead:
    """A camera that looks straight down: one scale everywhere."""

    pixels_per_metre: float

    def metres(self, feet: Points) -> Points:
        """(n, 2) columns and rows in pixels to (n, 2) metres."""
        return feet / self.pixels_per_metre

    @property
    def assumption(self) -> str:
        """For the report's reader."""
        return f"{self.pixels_per_metre:g} pixels are one metre everywhere in the picture (PIXELS_PER_METRE)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Oblique:
    """A camera that looks across flat ground: scale and distance follow from how tall people appear.

    A body `person_height` metres tall appears `slope` * (row - horizon) pixels tall, so the camera hangs
    `person_height / slope` metres high, and distance = focal length * that height / (row - horizon).
    """

    person_height: float
    slope: float
    horizon: float
    focal: float
    """Focal length in pixels."""
    centre: float
    """The picture's middle column."""
    field_of_view: float

    def metres(self, feet: Points) -> Points:
        """(n, 2) columns and rows in pixels to (n, 2) metres: to the right of the camera, away from it."""
        scale = self.person_height / self.slope / np.maximum(feet[:, 1] - self.horizon, 1.0)
        return np.column_stack([(feet[:, 0] - self.centre) * scale, self.focal * scale])

    @property
    def assumption(self) -> str:
        """For the report's reader."""
        return (
            f"people are {self.person_height:g} m tall on average (PERSON_HEIGHT), the ground is flat "
            f"and the camera sees {self.field_of_view:g} degrees from left to right (FIELD_OF_VIEW)"
        )


def ground_of(
    scene: Scene, pixels_per_metre: float | None, person_height: float, field_of_view: float
) -> Overhead | Oblique:
    """One scale if `pixels_per_metre` is given, else the perspective that `detect` has learnt."""
    if pixels_per_metre is not None:
        return Overhead(pixels_per_metre)
    if scene.perspective_slope < 0.01:
        raise ParameterError(
            "PIXELS_PER_METRE must be a number for this video: people look equally tall everywhere, so "
            "the scale can't be derived from them"
        )
    return Oblique(
        person_height=person_height,
        slope=scene.perspective_slope,
        horizon=-scene.perspective_offset / scene.perspective_slope,
        focal=scene.width / 2 / math.tan(math.radians(field_of_view / 2)),
        centre=scene.width / 2,
        field_of_view=field_of_view,
    )
