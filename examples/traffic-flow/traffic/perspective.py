"""How tall a person appears, learnt from the video itself.

On a flat ground a person's height in pixels grows linearly with the row of the feet. People who walk alone
give the points, a robust line gives the rule; no calibration is needed.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from traffic.background import Mask

FEWEST = 12
"""Fewer lone people than this give no line worth trusting."""


@dataclass(frozen=True, slots=True)
class Perspective:
    """height = slope * row of the feet + offset, both in pixels of the video."""

    slope: float
    offset: float

    def height(self, row: float) -> float:
        """How tall (pixels) a person with the feet at `row` appears."""
        return self.slope * row + self.offset


def lone_people(mask: Mask, least_height: float) -> list[tuple[int, int]]:
    """(row of the feet, height) in pixels of each upright blob that lies wholly inside the picture."""
    _, _, blobs, _ = cv2.connectedComponentsWithStats(mask)
    rows, columns = mask.shape
    return [
        (int(y + h), int(h))
        for x, y, w, h, _ in blobs[1:]
        if h >= least_height
        and 0.2 < w / h < 0.6
        and x > 1
        and y > 1
        and x + w < columns - 2
        and y + h < rows - 2
    ]


def fit(people: list[tuple[int, int]]) -> Perspective | None:
    """The Theil-Sen line through (row, height) points; None if there are too few of them."""
    if len(people) < FEWEST:
        return None
    points: NDArray[np.float64] = np.asarray(people, dtype=np.float64)
    if np.ptp(points[:, 0]) < np.median(points[:, 1]):  # all on one line of sight: a slope would be noise
        return Perspective(0.0, float(np.median(points[:, 1])))
    slope, offset, _, _ = stats.theilslopes(points[:, 1], points[:, 0])
    if slope < 0:  # nearer people never look smaller: seen from above, or too little to learn from
        return Perspective(0.0, float(np.median(points[:, 1])))
    return Perspective(float(slope), float(offset))
