"""``kill -9`` at any moment, again and again. ``benchmarks/kill9.py`` does it a hundred times."""

import random
from pathlib import Path

import docker

from tests.crashes.killing import Siege, Tally
from tests.crashes.place import Place


def besieged(place: Place, *, stages: int, kills: int) -> Tally:
    place.make()
    try:
        siege = Siege(place, stages, place.start)
        node, moments = siege.begin(pause=0.05), random.Random(9)  # noqa: S311
        for _ in range(kills):
            node, _ = siege.kill(node, after=moments.uniform(0.0, 0.5))
        return siege.end()
    finally:
        place.end()


def test_ten_kills_during_four_stages_lose_and_double_nothing(tmp_path: Path) -> None:
    tally = besieged(Place(tmp_path), stages=4, kills=10)
    assert tally.is_whole, tally


def test_five_kills_during_two_containers_lose_and_double_no_line(tmp_path: Path, engine: docker.DockerClient) -> None:
    """Here the node itself writes the log, from what the engine keeps."""
    tally = besieged(Place(tmp_path, "docker"), stages=2, kills=5)
    assert tally.is_whole, tally


def test_the_tally_notices_what_is_lost_and_doubled(tmp_path: Path) -> None:
    """A check must be able to fail."""
    place = Place(tmp_path)
    place.make()
    try:
        siege = Siege(place, 2, place.start)
        siege.begin(pause=0.05)
        first, second = (tmp_path / f"share/projects/{name}/runs/0001-talk/1/log.jsonl" for name in siege.names)
        place.until(lambda: first.stat().st_size > 0 and second.stat().st_size > 0, "something said by both")
        assert siege.end().is_whole
        lines = first.read_text().splitlines(keepends=True)
        first.write_text("".join(lines[1:]))
        second.write_text(second.read_text() + lines[0])
        tally = siege.end()
        assert (tally.lines_lost, tally.lines_doubled) == (1, 1)
    finally:
        place.end()
