"""Stage 2: follows each person through the video. Run with `python -m traffic.track`."""

import sys
from itertools import pairwise

from traffic import files, records
from traffic.background import Image
from traffic.drawing import colour_of, draw_box, draw_caption, draw_path
from traffic.parameters import number
from traffic.records import Box, Detection, Scene, TrackPoint
from traffic.stage import Progress, Stage, result, run
from traffic.statistics import paths_of, smooth
from traffic.tracker import Rules, follow

MAX_GAP = 3.0
MIN_TRACK = 2.0


def track(stage: Stage) -> None:
    """Reads what `detect` left; leaves tracks.csv and tracks.jpg in the workspace."""
    rules = Rules(
        max_gap=number(stage.environment, "MAX_GAP", MAX_GAP, 0, 3600),
        min_track=number(stage.environment, "MIN_TRACK", MIN_TRACK, 0, 3600),
    )
    detections = records.read_detections(stage.needs("detections.csv", "detect"))
    scene = records.read_scene(stage.needs("scene.json", "detect"))
    backdrop = files.read_picture(stage.needs("backdrop.png", "detect"))
    progress = Progress()
    progress.at(0, 1)
    last = max((detection.frame for detection in detections), default=0) + 1
    people = follow(detections, scene.fps, rules, tell=lambda frame: progress.at(frame, last))
    points = [point for identity, seen in enumerate(people, 1) for point in fill(identity, seen, scene)]
    table = records.to_csv(TrackPoint, points)
    picture = annotated(backdrop, points)
    for directory in (stage.output, stage.workspace):
        files.write_picture(directory / "tracks.jpg", picture)
        files.write_text(directory / "tracks.csv", table)
    progress.at(1, 1)
    result(people=len(people), gaps_bridged=sum(bridged(seen, scene.frame_step) for seen in people))


def fill(identity: int, seen: list[Detection], scene: Scene) -> list[TrackPoint]:
    """One person's points in every frame read from first to last sighting, straight lines across the gaps."""
    points = [_point(identity, seen[0].frame, seen[0].box, scene, 1)]
    for before, after in pairwise(seen):
        for frame in range(before.frame + scene.frame_step, after.frame, scene.frame_step):
            part = (frame - before.frame) / (after.frame - before.frame)
            points.append(_point(identity, frame, between(before.box, after.box, part), scene, 0))
        points.append(_point(identity, after.frame, after.box, scene, 1))
    return points


def between(before: Box, after: Box, part: float) -> Box:
    """The box `part` (0 to 1) of the way from one to the other."""
    return Box(
        before.left + part * (after.left - before.left),
        before.top + part * (after.top - before.top),
        before.width + part * (after.width - before.width),
        before.height + part * (after.height - before.height),
    )


def bridged(seen: list[Detection], frame_step: int) -> int:
    """How often a person was lost and found again."""
    return sum(after.frame - before.frame > frame_step for before, after in pairwise(seen))


def annotated(backdrop: Image, points: list[TrackPoint]) -> Image:
    """The empty scene with each person's path, and their boxes at the fullest moment."""
    image = backdrop.copy()
    frames: dict[int, list[TrackPoint]] = {}
    for point in points:
        frames.setdefault(point.frame, []).append(point)
    paths = paths_of(points)
    for path in paths:
        draw_path(image, smooth(path).feet, colour_of(path.track))
    fullest = max(frames.values(), key=len, default=[])
    for point in fullest:
        width = 0.4 * point.height
        box = Box(point.foot_x - width / 2, point.foot_y - point.height, width, point.height)
        draw_box(image, box, str(point.track), colour_of(point.track))
    moment = f"; boxes: the {len(fullest)} at {fullest[0].seconds:.1f} s" if fullest else ""
    draw_caption(image, f"Paths of {len(paths)} people{moment}")
    return image


def _point(identity: int, frame: int, box: Box, scene: Scene, seen: int) -> TrackPoint:
    return TrackPoint(identity, frame, frame / scene.fps, *box.foot, box.height, seen)


def main() -> int:
    """The stage's exit code."""
    return run(track)


if __name__ == "__main__":
    sys.exit(main())
