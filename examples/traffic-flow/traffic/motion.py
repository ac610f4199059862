"""Where a person will be next: a Kalman filter with constant velocity, one for both directions alike."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

PLACE_NOISE = 0.16
"""Standard deviation of a detected foot point, in body heights."""
RESTLESSNESS = 0.8
"""Standard deviation of a person's acceleration, in body heights per second squared."""
FIRST_SPEED = 0.6
"""Standard deviation of the speed nobody has measured yet, in body heights per second."""


@dataclass(frozen=True, slots=True)
class Motion:
    """`place` (2,) in pixels, `velocity` (2,) in pixels per second, `spread` (2, 2): their covariance."""

    place: Vector
    velocity: Vector
    spread: Vector

    @property
    def deviation(self) -> float:
        """The place's standard deviation in pixels."""
        return float(np.sqrt(self.spread[0, 0]))


def begin(place: tuple[float, float], height: float) -> Motion:
    """A person of `height` pixels seen for the first time, standing still for all we know."""
    spread = np.diag([(PLACE_NOISE * height) ** 2, (FIRST_SPEED * height) ** 2])
    return Motion(np.asarray(place, dtype=np.float64), np.zeros(2), spread)


def predict(motion: Motion, seconds: float, height: float) -> Motion:
    """The same person `seconds` later, unseen meanwhile."""
    step = np.array([[1.0, seconds], [0.0, 1.0]])
    push = np.array([seconds**2 / 2, seconds])
    spread = step @ motion.spread @ step.T + np.outer(push, push) * (RESTLESSNESS * height) ** 2
    return replace(motion, place=motion.place + seconds * motion.velocity, spread=spread)


def correct(motion: Motion, seen: tuple[float, float], height: float) -> Motion:
    """The estimate after the person was seen at `seen`."""
    error = np.asarray(seen, dtype=np.float64) - motion.place
    gain = motion.spread[:, 0] / (motion.spread[0, 0] + (PLACE_NOISE * height) ** 2)
    return Motion(
        motion.place + gain[0] * error,
        motion.velocity + gain[1] * error,
        motion.spread - np.outer(gain, motion.spread[0]),
    )
