"""Who is who: pairs tracks with detections so that the sum of their differences is least."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Matrix = NDArray[np.float64]

FARTHEST = 3.5
"""Standard deviations from its predicted place at which a detection can still be the same person."""
FARTHEST_HEIGHTS = 1.0
"""The same limit in body heights, which holds however unsure the prediction is."""
COLOUR_SCALE = 25.0
"""A difference of clothes (Lab units) that counts as one standard deviation."""
IMPOSSIBLE = 1e6


def place_costs(places: Matrix, deviations: Matrix, seen: Matrix, heights: Matrix) -> Matrix:
    """(tracks, detections): how unlikely each pair is by place alone, IMPOSSIBLE where too far.

    The negative logarithm of a normal distribution's density around the predicted place, so a track that was
    lost for long, and could be anywhere, does not take the sightings of one whose place is known well.

    `places` (tracks, 2), `seen` (detections, 2), `deviations` (tracks,), `heights` (detections,), in pixels.
    However unsure a track is, a person never jumps farther than FARTHEST_HEIGHTS.
    """
    distances = np.linalg.norm(places[:, None] - seen[None], axis=2)
    scaled = distances / deviations[:, None]
    costs = scaled**2 / 2 + 2 * np.log(deviations[:, None] / heights[None])
    near = (scaled <= FARTHEST) & (distances <= FARTHEST_HEIGHTS * heights[None])
    return np.where(near, costs, IMPOSSIBLE)


def colour_costs(known: Matrix, seen: Matrix) -> Matrix:
    """(tracks, detections) from colours (tracks, 6) and (detections, 6) in Lab units."""
    differences: Matrix = np.linalg.norm(known[:, None] - seen[None], axis=2)
    return (differences / COLOUR_SCALE) ** 2 / 2


def pairs(costs: Matrix) -> list[tuple[int, int]]:
    """(row, column) pairs of the least sum, without the impossible ones; each row, column once at most."""
    rows, columns = linear_sum_assignment(costs)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if costs[row, column] < IMPOSSIBLE
    ]
