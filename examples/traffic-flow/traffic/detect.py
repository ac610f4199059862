"""Stage 1: finds the people in every frame. Run with `python -m traffic.detect`."""

import sys

import cv2

from traffic import files, records, video
from traffic.background import Image, Mask, background_of, foreground, soften
from traffic.drawing import ACCENT, draw_box, draw_caption
from traffic.errors import StageError
from traffic.parameters import number, whole_number
from traffic.people import Finder
from traffic.perspective import Perspective, fit, lone_people
from traffic.records import Box, Detection, Scene
from traffic.stage import Progress, Stage, result, run

THRESHOLD = 0.35
MIN_HEIGHT = 40


def detect(stage: Stage) -> None:
    """Reads the video; leaves detections.csv, scene.json and backdrop.png in the workspace."""
    threshold = number(stage.environment, "THRESHOLD", THRESHOLD, 0, 1)
    frame_step = whole_number(stage.environment, "FRAME_STEP", 1, 1, 10_000)
    least_height = whole_number(stage.environment, "MIN_HEIGHT", MIN_HEIGHT, 4, 10_000)
    cv2.setNumThreads(stage.cpus)
    path = stage.video()
    about = video.facts(path)
    progress = Progress()
    progress.at(0, 1)
    backdrop, perspective = learn(video.sample(path, about), least_height)
    softened = soften(backdrop)
    finder = Finder((about.height, about.width), perspective, least_height)
    found: list[list[Detection]] = []
    fullest = 0, backdrop
    for frame_number, frame in video.every(path, frame_step):
        people = people_in(frame_number, frame, foreground(frame, softened), finder, threshold)
        found.append(people)
        if len(people) > max(map(len, found[:-1]), default=0):
            fullest = frame_number, frame
        progress.at(frame_number, about.frames)
    scene = Scene(
        video=path.name,
        width=about.width,
        height=about.height,
        fps=about.fps,
        frames_read=len(found),
        frame_step=frame_step,
        perspective_slope=perspective.slope,
        perspective_offset=perspective.offset,
    )
    write(stage, scene, [person for people in found for person in people], backdrop, fullest)
    progress.at(1, 1)


def learn(frames: list[Image], least_height: int) -> tuple[Image, Perspective]:
    """The empty scene, and how tall people appear in it."""
    backdrop = background_of(frames)
    softened = soften(backdrop)
    lone = [person for frame in frames for person in lone_people(foreground(frame, softened), least_height)]
    perspective = fit(lone)
    if perspective is None:
        raise StageError(
            f"only {len(lone)} upright moving figures of at least {least_height} pixels were found: is the "
            "camera fixed? If people are smaller, lower MIN_HEIGHT"
        )
    return backdrop, perspective


def people_in(
    frame_number: int, frame: Image, mask: Mask, finder: Finder, threshold: float
) -> list[Detection]:
    """The people in one frame, with the colours of their clothes."""
    lab: Image = cv2.cvtColor(frame, cv2.COLOR_BGR2LAB)
    return [
        Detection(frame_number, box.left, box.top, box.width, box.height, score, *colours(lab, mask, box))
        for box, score in finder.find(mask, threshold)
    ]


def colours(lab: Image, mask: Mask, box: Box) -> tuple[float, float, float, float, float, float]:
    """Mean Lab values of the moving pixels in the upper, then in the lower half of `box`."""
    left, right = max(round(box.left), 0), round(box.left + box.width)
    rows = [max(round(box.top + part * box.height), 0) for part in (0, 0.5, 1)]
    upper = cv2.mean(lab[rows[0] : rows[1], left:right], mask[rows[0] : rows[1], left:right])
    lower = cv2.mean(lab[rows[1] : rows[2], left:right], mask[rows[1] : rows[2], left:right])
    return upper[0], upper[1], upper[2], lower[0], lower[1], lower[2]


def write(
    stage: Stage, scene: Scene, found: list[Detection], backdrop: Image, fullest: tuple[int, Image]
) -> None:
    """Workspace for the next stage, output for people; scene.json last, as it says that the rest is there."""
    table = records.to_csv(Detection, found)
    frame_number, frame = fullest
    picture = annotated(frame_number, frame.copy(), found, scene)
    files.write_picture(stage.output / "sample.jpg", picture)
    files.write_text(stage.output / "detections.csv", table)
    files.write_picture(stage.workspace / "sample.jpg", picture)
    files.write_picture(stage.workspace / "backdrop.png", backdrop)
    files.write_text(stage.workspace / "detections.csv", table)
    files.write_json(stage.workspace / "scene.json", records.scene_to_json(scene))
    result(detections=len(found), detections_per_frame=f"{len(found) / scene.frames_read:.2f}")


def annotated(frame_number: int, frame: Image, found: list[Detection], scene: Scene) -> Image:
    """`frame`, drawn upon: each person's box and score."""
    people = [person for person in found if person.frame == frame_number]
    for person in people:
        draw_box(frame, person.box, f"{person.score:.2f}", ACCENT)
    draw_caption(frame, f"{frame_number / scene.fps:.1f} s, frame {frame_number}: {len(people)} people found")
    return frame


def main() -> int:
    """The stage's exit code."""
    return run(detect)


if __name__ == "__main__":
    sys.exit(main())
