import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crashes.place import SITE, Place, printing, stage

LINES = 30


@pytest.fixture
def make_place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """``make_place(stages=("first", "second"))``: a site with one project; no node runs yet.

    ``beside`` is shell that each stage starts with.
    """
    made: list[Place] = []

    def make(*, runtime: str = "process", stages: tuple[str, ...] = ("first", "second"), beside: str = "") -> Place:
        place = Place(tmp_path, runtime)
        place.make()
        made.append(place)
        shell = beside + printing(LINES, 0.02)
        place.commit(
            {
                "winslow.yaml": SITE,
                "pipelines/work.yaml": json.dumps({"stages": [stage(name, shell) for name in stages]}),
                "projects/ulm.yaml": "name: Ulm\npipeline: work\n",
            }
        )
        return place

    yield make
    for place in made:
        place.end()
