"""The three stages as programs, run the way a node runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed: `make setup` provides it")
pytest.importorskip("traffic", reason="traffic-flow is not installed: `make setup` provides it")

import cv2
import numpy as np

EXAMPLE = Path(__file__).parents[2] / "examples" / "traffic-flow"
CROSSING = EXAMPLE / "resources" / "crossing.mp4"


def start(stage: str, place: Path, video: Path | None, **parameters: str) -> subprocess.CompletedProcess[str]:
    """One stage in `place`, with nothing of this process's environment but what finds Python."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    environment |= {
        "WINSLOW_WORKSPACE": str(place / "workspace"),
        "WINSLOW_OUTPUT": str(place / stage),
        "WINSLOW_INPUTS": json.dumps([str(video)] if video else []),
        "WINSLOW_CPUS": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", f"traffic.{stage}"],
        env=environment | parameters,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_all(place: Path, video: Path, **parameters: str) -> dict[str, subprocess.CompletedProcess[str]]:
    """All stages, each of which must succeed."""
    done = {}
    for stage in ("detect", "track", "report"):
        done[stage] = start(stage, place, video, **parameters)
        assert done[stage].returncode == 0, done[stage].stderr
    return done


def two_walkers(path: Path) -> Path:
    """60 frames at 10 a second: two upright figures walk past each other on different rows."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for frame_number in range(60):
        frame = np.full((240, 320, 3), (90, 120, 90), np.uint8)
        for x, foot, colour in (
            (20 + 4 * frame_number, 110, (20, 20, 20)),
            (300 - 4 * frame_number, 220, (200, 60, 40)),
        ):
            height = foot // 4 + 30
            cv2.rectangle(frame, (x - height // 6, foot - height), (x + height // 6, foot), colour, cv2.FILLED)
        writer.write(frame)
    writer.release()
    return path


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line a user sees; a traceback would be more than one."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    return lines[0].removeprefix("error: ")


def test_two_walkers_are_found_followed_and_reported(tmp_path: Path) -> None:
    """Every file is there and whole, no draft is left, and the figures are the scene's."""
    done = run_all(tmp_path, two_walkers(tmp_path / "walk.avi"))
    figures = json.loads((tmp_path / "report" / "statistics.json").read_text())
    assert figures["figures"]["people"] == 2
    assert figures["figures"]["people_per_frame"] == pytest.approx(2, abs=0.15)
    assert figures["ground_truth"] is None
    assert {path.name for path in (tmp_path / "detect").iterdir()} == {"sample.jpg", "detections.csv"}
    assert {path.name for path in (tmp_path / "track").iterdir()} == {"tracks.jpg", "tracks.csv"}
    pictures = {"trajectories.png", "density.png", "speeds.png"}
    assert {path.name for path in (tmp_path / "report").iterdir()} == pictures | {
        "report.html",
        "statistics.json",
        "tracks.csv",
    }
    assert all(cv2.imread(str(tmp_path / "report" / name)) is not None for name in pictures)
    assert not list(tmp_path.rglob("*.part"))
    page = (tmp_path / "report" / "report.html").read_text()
    assert "No ground truth is known for this video" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "WINSLOW_RESULT: people=2" in done["track"].stdout


def test_progress_grows_to_a_hundred_and_says_nothing_twice(tmp_path: Path) -> None:
    """What a node reads as progress is any `N %` on stdout."""
    for done in run_all(tmp_path, two_walkers(tmp_path / "walk.avi")).values():
        percents = [int(text) for text in re.findall(r"(\d+) %", done.stdout)]
        assert percents == sorted(set(percents))
        assert percents[-1] == 100


def test_the_real_crossing_lands_near_the_published_truth(tmp_path: Path) -> None:
    """Every fourth frame, to be quick. 19 people and 5.6 a frame are published; the bounds are what we promise."""
    run_all(tmp_path, CROSSING, FRAME_STEP="4")
    statistics = json.loads((tmp_path / "report" / "statistics.json").read_text())
    assert 15 <= statistics["figures"]["people"] <= 28
    assert 4.8 <= statistics["figures"]["people_per_frame"] <= 6.4
    assert 0.8 <= statistics["figures"]["median_speed"] <= 1.7, "people walk"
    assert statistics["ground_truth"]["figures"]["people"]["published"] == 19
    assert "MOTChallenge 2015" in (tmp_path / "report" / "report.html").read_text()


def test_a_bad_parameter_ends_with_two_and_one_line(tmp_path: Path) -> None:
    """Before any work is done."""
    done = start("detect", tmp_path, CROSSING, THRESHOLD="abc")
    assert done.returncode == 2
    assert error_of(done) == "THRESHOLD must be a number from 0 to 1, not 'abc'"


def test_no_input_says_where_to_declare_one(tmp_path: Path) -> None:
    """The commonest mistake of a new project."""
    done = start("detect", tmp_path, None)
    assert done.returncode == 1
    assert "declare exactly one under the project's 'inputs'" in error_of(done)


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    """OpenCV itself would only return False."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    done = start("detect", tmp_path, broken)
    assert done.returncode == 1
    assert error_of(done).startswith("broken.mp4 can't be read as a video")


def test_a_missing_stage_is_named(tmp_path: Path) -> None:
    """Whoever jumps ahead learns which stage to run."""
    for stage, file, before in (("track", "detections.csv", "detect"), ("report", "scene.json", "detect")):
        done = start(stage, tmp_path, CROSSING)
        assert done.returncode == 1
        assert error_of(done) == f"{file} is not in the workspace: run the stage '{before}' first"


def test_a_damaged_file_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    """Half a CSV line must not become half a track."""
    run_all(tmp_path, two_walkers(tmp_path / "walk.avi"))
    tracks = tmp_path / "workspace" / "tracks.csv"
    tracks.write_text(tracks.read_text()[:-9])
    (tmp_path / "report" / "report.html").unlink()
    done = start("report", tmp_path, None)
    assert error_of(done) == "tracks.csv is damaged or of another version: run the stage that made it again"
    assert not (tmp_path / "report" / "report.html").exists()
