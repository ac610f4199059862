"""What stands still, and what does not.

The camera is fixed, so the median of frames spread over the whole video is the empty scene: nobody stays at
one place for half of it. People who stop for a while stay visible; an adaptive background would swallow them.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(height, width, 3), blue green red."""
Mask = NDArray[np.uint8]
"""(height, width), 1 where something moves, 0 elsewhere."""

CONTRAST = 30
"""Grey levels (of 255) by which foreground differs from the background in at least one colour channel."""
_ROWS = 32


def background_of(frames: list[Image]) -> Image:
    """The median of `frames`: the scene without people. In strips of rows, to keep the memory small."""
    height = frames[0].shape[0]
    strips = [
        np.median(np.stack([frame[top : top + _ROWS] for frame in frames]), axis=0).astype(np.uint8)
        for top in range(0, height, _ROWS)
    ]
    return np.concatenate(strips)


def soften(image: Image) -> Image:
    """Removes the camera's noise and the coarsest traces of video compression."""
    softened: Image = cv2.GaussianBlur(image, (5, 5), 0)
    return softened


def foreground(frame: Image, softened_background: Image) -> Mask:
    """Where `frame` differs from the background: without specks, small holes closed."""
    difference = cv2.absdiff(soften(frame), softened_background).max(axis=2)
    mask = (difference > CONTRAST).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed: Mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 5), np.uint8))
    return closed
