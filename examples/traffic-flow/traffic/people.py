"""Finds people in a foreground mask, also where their outlines merge.

Every place a person could stand gets a box of the height the perspective expects. The box that is fullest of
foreground is a person; what it covers is explained and taken away, and the search repeats. A box is scored on
the part that is neither outside the picture nor behind somebody found before, so half-hidden people count.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from traffic.background import Mask
from traffic.perspective import Perspective
from traffic.records import Box

Integers = NDArray[np.int64]

ASPECT = 0.4
"""A walking person's width over height."""
LEAST_VISIBLE = 0.4
"""The share of a box that must be visible for it to be scored."""
_MOST = 200
_SHRINK = 2


class Finder:
    """Holds the boxes to try for one size of picture; all coordinates inside are halved for speed."""

    def __init__(self, shape: tuple[int, int], perspective: Perspective, least_height: float) -> None:
        """`shape` is the video's (height, width); boxes lower than `least_height` pixels are not tried."""
        rows, columns = (-(-size // _SHRINK) for size in shape)
        tallest = max(perspective.height(shape[0]), least_height, 8.0) / _SHRINK
        self._pad = int(tallest * 0.7) + 2
        bottoms = np.arange(self._pad + 1, rows + 2 * self._pad)
        heights = (perspective.slope * _SHRINK * (bottoms - self._pad) + perspective.offset) / _SHRINK
        tried = (heights * _SHRINK >= max(least_height, 4)) & (bottoms - heights >= 0)
        bottoms, heights = bottoms[tried][:, None], heights[tried][:, None]
        centres = np.arange(self._pad, self._pad + columns)[None, :]
        width = columns + 2 * self._pad
        self._shape = (rows + 2 * self._pad, width)
        self._tops: Integers = np.rint(bottoms - heights).astype(np.int64)
        self._bottoms: Integers = bottoms.astype(np.int64)
        self._lefts: Integers = np.clip(np.rint(centres - ASPECT / 2 * heights), 0, width).astype(np.int64)
        self._rights: Integers = np.clip(np.rint(centres + ASPECT / 2 * heights), 0, width).astype(np.int64)
        # Without this, boxes whose sides happen to be rounded down would look fuller and attract everybody.
        rounded = (self._bottoms - self._tops) * np.maximum(self._rights - self._lefts, 1)
        self._exactness = ASPECT * heights**2 / rounded
        self._least_visible = LEAST_VISIBLE * ASPECT * heights**2

    def find(self, mask: Mask, threshold: float) -> Iterator[tuple[Box, float]]:
        """The people in `mask`, each with the share of the box that is foreground (`threshold` to 1)."""
        small = mask[::_SHRINK, ::_SHRINK]
        inside = slice(self._pad, self._pad + small.shape[0]), slice(self._pad, self._pad + small.shape[1])
        moving, visible = np.zeros(self._shape, np.uint8), np.zeros(self._shape, np.uint8)
        moving[inside], visible[inside] = small, 1
        if self._tops.size == 0:
            return
        for _ in range(_MOST):
            area = self._sums(visible) * self._exactness
            shares = np.where(area >= self._least_visible, self._sums(moving) / np.maximum(area, 1), 0.0)
            row, column = np.unravel_index(int(shares.argmax()), shares.shape)
            share = float(shares[row, column])
            if share < threshold or share == 0:
                return
            top, bottom = int(self._tops[row, 0]), int(self._bottoms[row, 0])
            left, right = int(self._lefts[row, column]), int(self._rights[row, column])
            centre = _centre(moving[top:bottom, left:right], left)
            yield self._box(centre, top, bottom), share
            margin = (right - left) // 10 + 1
            moving[top : bottom + 2, max(left - margin, 0) : right + margin] = 0
            visible[top:bottom, left:right] = 0

    def _sums(self, mask: Mask) -> Integers:
        """How many pixels of `mask` are set in each box to try: (bottoms, centres)."""
        table = cv2.integral(mask)
        sums: Integers = (
            table[self._bottoms, self._rights]
            - table[self._tops, self._rights]
            - table[self._bottoms, self._lefts]
            + table[self._tops, self._lefts]
        )
        return sums

    def _box(self, centre: float, top: int, bottom: int) -> Box:
        height = _SHRINK * (bottom - top)
        left = _SHRINK * (centre - self._pad) - ASPECT / 2 * height
        return Box(left, _SHRINK * (top - self._pad), ASPECT * height, height)


def _centre(moving: Mask, left: int) -> float:
    """The mean column of what moves, in the padded picture."""
    columns = moving.sum(axis=0, dtype=np.int64)
    return left + float((columns * (np.arange(columns.size) + 0.5)).sum() / max(int(columns.sum()), 1))
