"""Stage 3: pictures, figures and a page about the tracks. Run with `python -m traffic.report`."""

import sys

from traffic import figures, files, records
from traffic.ground import ground_of
from traffic.page import page
from traffic.parameters import number, number_or_auto
from traffic.stage import Progress, Stage, result, run
from traffic.statistics import density, paths_of, smooth, speeds, summary
from traffic.truth import PUBLISHED, comparison

PERSON_HEIGHT = 1.7
FIELD_OF_VIEW = 45.0


def report(stage: Stage) -> None:
    """Reads what `detect` and `track` left; writes the output for people."""
    pixels_per_metre = number_or_auto(stage.environment, "PIXELS_PER_METRE", 0.01, 10_000)
    person_height = number(stage.environment, "PERSON_HEIGHT", PERSON_HEIGHT, 0.5, 2.5)
    field_of_view = number(stage.environment, "FIELD_OF_VIEW", FIELD_OF_VIEW, 1, 170)
    scene = records.read_scene(stage.needs("scene.json", "detect"))
    backdrop = files.read_picture(stage.needs("backdrop.png", "detect"))
    sample = stage.needs("sample.jpg", "detect").read_bytes()
    points = records.read_tracks(stage.needs("tracks.csv", "track"))
    ground = ground_of(scene, pixels_per_metre, person_height, field_of_view)
    progress = Progress()
    progress.at(0, 1)
    paths = paths_of(points)
    people_speeds = [speeds(path, ground.metres) for path in paths]
    totals = summary(points, scene, people_speeds)
    drawn = {"trajectories.png": figures.trajectories(backdrop, [smooth(path) for path in paths])}
    progress.at(1, 4)
    drawn["density.png"] = figures.heat_map(backdrop, density(points, scene))
    progress.at(2, 4)
    drawn["speeds.png"] = figures.speed_figure(paths, people_speeds)
    progress.at(3, 4)
    truth = PUBLISHED.get(scene.video)
    nearness = (truth, comparison(truth, totals)) if truth else None
    pictures = {
        "Trajectories": (drawn["trajectories.png"], "image/png"),
        "Density": (drawn["density.png"], "image/png"),
        "Speeds": (drawn["speeds.png"], "image/png"),
        "The fullest frame, as detected": (sample, "image/jpeg"),
    }
    for name, content in drawn.items():
        files.write_bytes(stage.output / name, content)
    files.write_bytes(stage.output / "tracks.csv", (stage.workspace / "tracks.csv").read_bytes())
    facts = {"video": scene.video, "figures": totals, "speeds_assume": ground.assumption}
    against = {"source": nearness[0].source, "figures": nearness[1]} if nearness else None
    files.write_json(stage.output / "statistics.json", {**facts, "ground_truth": against})
    files.write_text(
        stage.output / "report.html", page(scene.video, totals, nearness, ground.assumption, pictures)
    )
    progress.at(1, 1)
    result(**{name: totals[name] for name in ("people", "people_per_frame", "median_speed")})


def main() -> int:
    """The stage's exit code."""
    return run(report)


if __name__ == "__main__":
    sys.exit(main())
