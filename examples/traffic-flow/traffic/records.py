"""What the stages hand to each other, and its form on disk: CSV with a header, in pixels and seconds."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

from traffic.errors import StageError


@dataclass(frozen=True, slots=True)
class Box:
    """Left and top edge, width and height in pixels; may reach beyond the picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def foot(self) -> tuple[float, float]:
        """Where the person stands: (column, row) of the lower edge's middle."""
        return self.left + self.width / 2, self.top + self.height


@dataclass(frozen=True, slots=True)
class Detection:
    """One person in one frame. The colours are mean Lab values (0 to 255) of the upper and lower body."""

    frame: int
    left: float
    top: float
    width: float
    height: float
    score: float
    upper_l: float
    upper_a: float
    upper_b: float
    lower_l: float
    lower_a: float
    lower_b: float

    @property
    def box(self) -> Box:
        """The place alone."""
        return Box(self.left, self.top, self.width, self.height)

    @property
    def colours(self) -> tuple[float, ...]:
        """Upper then lower body, three values each."""
        return self.upper_l, self.upper_a, self.upper_b, self.lower_l, self.lower_a, self.lower_b


@dataclass(frozen=True, slots=True)
class TrackPoint:
    """Where one tracked person stands in one frame; `seen` is 0 where a gap was bridged, else 1."""

    track: int
    frame: int
    seconds: float
    foot_x: float
    foot_y: float
    height: float
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the later stages must know of the video, of which every `frame_step`th frame was read."""

    video: str
    width: int
    height: int
    fps: float
    frames_read: int
    frame_step: int
    perspective_slope: float
    perspective_offset: float


def to_csv(kind: type[Detection] | type[TrackPoint], rows: Iterable[Detection | TrackPoint]) -> str:
    """A header of field names and a line per row, numbers rounded to hundredths."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(kind))
    writer.writerows(
        [round(value, 2) if isinstance(value, float) else value for value in astuple(row)] for row in rows
    )
    return text.getvalue()


def read_detections(path: Path) -> list[Detection]:
    """What `to_csv` wrote of detections."""
    return [Detection(int(row[0]), *map(float, row[1:])) for row in _rows(path, Detection)]


def read_tracks(path: Path) -> list[TrackPoint]:
    """What `to_csv` wrote of track points."""
    return [
        TrackPoint(int(track), int(frame), float(seconds), float(x), float(y), float(height), int(seen))
        for track, frame, seconds, x, y, height, seen in _rows(path, TrackPoint)
    ]


def scene_to_json(scene: Scene) -> dict[str, object]:
    """The form `read_scene` reads."""
    return asdict(scene)


def read_scene(path: Path) -> Scene:
    """What `detect` left about the video."""
    try:
        return Scene(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise StageError(f"{path.name} is damaged: run the stage 'detect' again") from None


def _rows(path: Path, kind: type[Detection] | type[TrackPoint]) -> list[Sequence[str]]:
    names = [field.name for field in fields(kind)]
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    try:
        good = lines[0] == names and all(
            [float(value) for value in line] and len(line) == len(names) for line in lines[1:]
        )
    except (ValueError, IndexError):
        good = False
    if not good:
        raise StageError(f"{path.name} is damaged or of another version: run the stage that made it again")
    return list(lines[1:])
