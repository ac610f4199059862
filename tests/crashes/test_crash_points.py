"""A node killed anywhere on its way, and started again, comes to the same end as one that lived."""

from collections.abc import Callable

import docker
import pytest

from reconciler.core.records import Released
from tests.crashes import points
from tests.crashes.conftest import LINES
from tests.crashes.dying import Point
from tests.crashes.place import Place
from tests.crashes.whole import check, check_left_behind, says_what_holds, wait_until_over

MakePlace = Callable[..., Place]


def named(some: tuple[Point, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("point", some, ids=[point.name for point in some])


def die_and_come_back(place: Place, point: Point) -> None:
    place.until_dead(place.start(point))
    node = place.start()
    wait_until_over(place, runs=2)
    node.end()
    check(place, lines=LINES)


@named(points.LIFE)
def test_a_node_killed_here_loses_and_doubles_nothing(make_place: MakePlace, point: Point) -> None:
    die_and_come_back(make_place(), point)


@named(points.DOCKER)
def test_a_node_with_containers_killed_here_loses_and_doubles_nothing(
    make_place: MakePlace, engine: docker.DockerClient, point: Point
) -> None:
    die_and_come_back(make_place(runtime="docker"), point)


@named(points.PRUNING)
def test_a_project_whose_removal_is_cut_off_here_is_removed_by_the_next_start(
    make_place: MakePlace, point: Point
) -> None:
    place = make_place()
    node = place.start(point)
    place.until(lambda: place.succeeded(2), "the project is over")
    place.commit({"projects/ulm.yaml": None})
    place.until_dead(node)
    node = place.start()
    place.until(lambda: place.history().retired is not None and not place.ledger().remains, "the project is purged")
    place.until(lambda: says_what_holds(place), "the branch observed equals the fold of the ledger")
    node.end()
    left = [path.relative_to(place.root / "share/retired") for path in (place.root / "share/retired").rglob("*.json")]
    assert list(map(str, left)) == ["ulm.00000005/records/00000005.json"]
    assert place.open_runtime().list() == []
    check_left_behind(place)


@named(points.IN_SUPERVISOR)
def test_a_supervisor_killed_here_leaves_nothing_running_and_no_false_outcome(
    make_place: MakePlace, point: Point
) -> None:
    """What its program became nobody knows then, so the attempt is given up and the next one counts."""
    place = make_place(stages=("first",), beside="sleep 300 & ")
    node = place.start(point, in_supervisor=True)
    wait_until_over(place, runs=1)
    assert node.died_at
    node.end()
    (run,) = place.history().runs
    given_up = [record.reason for record in run.records if isinstance(record, Released)]
    assert given_up == ([] if point.name == "state drafted, not linked" else ["Lost"])
    check(place, lines=LINES, attempts=1 + len(given_up))
