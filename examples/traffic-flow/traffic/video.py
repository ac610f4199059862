"""Reads a video with OpenCV."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from traffic.background import Image
from traffic.errors import StageError

_SAMPLE_BYTES = 150_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Size in pixels, frames a second, number of frames."""

    width: int
    height: int
    fps: float
    frames: int


def facts(path: Path) -> Facts:
    """Asks the file; counts the frames one by one where the container doesn't know."""
    capture = _open(path)
    fps, frames = float(capture.get(cv2.CAP_PROP_FPS)), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    read, first = capture.read()
    if not read:
        raise _unreadable(path)
    if frames <= 0:
        frames = 1
        while capture.grab():
            frames += 1
    height, width = first.shape[:2]
    return Facts(width=width, height=height, fps=fps if 0 < fps <= 1000 else 25.0, frames=frames)


def every(path: Path, step: int) -> Iterator[tuple[int, Image]]:
    """(number, picture) of every `step`th frame from frame 0; frames between are skipped cheaply."""
    capture = _open(path)
    number = 0
    while capture.grab():
        if number % step == 0:
            decoded, frame = capture.retrieve()
            if not decoded:
                return
            yield number, frame
        number += 1


def sample(path: Path, about: Facts) -> list[Image]:
    """Frames spread evenly over the whole video: up to 61, fewer if they are large, to bound the memory."""
    count = max(11, min(61, _SAMPLE_BYTES // (3 * about.width * about.height)))
    return [frame for _, frame in every(path, max(1, about.frames // count))][: count + 1]


def _open(path: Path) -> Any:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise _unreadable(path)
    return capture


def _unreadable(path: Path) -> StageError:
    return StageError(
        f"{path.name} can't be read as a video: check that it plays, or convert it to H.264 in MP4"
    )
