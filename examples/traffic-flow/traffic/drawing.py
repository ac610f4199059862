"""Draws boxes, labels and paths onto frames."""

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from traffic.background import Image
from traffic.records import Box

Colour = tuple[int, int, int]
ACCENT: Colour = (80, 230, 120)


def colour_of(identity: int) -> Colour:
    """A vivid colour (blue, green, red; 0 to 255) that differs from its neighbours'."""
    red, green, blue = colorsys.hsv_to_rgb(identity * 0.618 % 1.0, 0.8, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


def draw_box(image: Image, box: Box, label: str, colour: Colour) -> None:
    """Draws onto `image` itself: the box and, above it, the label on a filled ground."""
    left, top = round(box.left), round(box.top)
    right, bottom = round(box.left + box.width), round(box.top + box.height)
    cv2.rectangle(image, (left, top), (right, bottom), colour, 2, cv2.LINE_AA)
    (width, height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    cv2.rectangle(image, (left - 1, top - height - 6), (left + width + 5, top), colour, cv2.FILLED)
    cv2.putText(image, label, (left + 2, top - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)


def draw_path(image: Image, feet: NDArray[np.float64], colour: Colour) -> None:
    """Draws onto `image` itself: a line through `feet` (n, 2), columns and rows."""
    points = np.rint(feet).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(image, [points], False, colour, 2, cv2.LINE_AA)


def draw_caption(image: Image, text: str) -> None:
    """Draws onto `image` itself: a line of text in a dark band at the lower edge."""
    height = image.shape[0]
    image[height - 26 :] = image[height - 26 :] // 4
    cv2.putText(image, text, (8, height - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
