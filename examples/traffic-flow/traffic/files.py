"""Files appear whole or not at all: a stage killed at any moment leaves no half file behind."""

import json
import os
from pathlib import Path

import cv2

from traffic.background import Image
from traffic.errors import StageError


def write_bytes(path: Path, content: bytes) -> None:
    """Drafts beside `path`, flushes to the disk, then replaces."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_text(path: Path, content: str) -> None:
    """As `write_bytes`, in UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: object) -> None:
    """Sorted and indented, so that two runs compare line by line."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def write_picture(path: Path, image: Image) -> None:
    """`image` is (height, width, 3) in BGR; the suffix chooses the format."""
    encoded, content = cv2.imencode(path.suffix, image)
    if not encoded:
        raise StageError(f"{path.name} could not be encoded: this OpenCV lacks support for {path.suffix}")
    write_bytes(path, content.tobytes())


def read_picture(path: Path) -> Image:
    """(height, width, 3) in BGR."""
    image: Image | None = cv2.imread(str(path))
    if image is None:
        raise StageError(f"{path.name} is no readable picture: run the stage that made it again")
    return image
