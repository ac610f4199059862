"""A client that remembers names: what it publishes lies where everybody looks, or is told not to stand."""

import contextlib
from collections.abc import Iterator

import pytest

from reconciler.core.names import Commit, RunNumber
from reconciler.core.records import Deleted, Purged
from reconciler.errors import ShareUnavailable
from tests.fakes.build import CROSSING, a_claim, a_created, a_seen, header
from tests.share.place import Place
from tests.simulation.plain_scheduler import PlainScheduler
from tests.simulation.share import SimServer

GONE = Commit("d" * 40)
PURGED = Purged(**header(4), commit=GONE, last_run=RunNumber(1))
CREATED = a_created(1, "detect", number=2)


def places() -> Iterator[Place]:
    """With other luck each: a remembered name is asked for again now and then."""
    for seed in range(30):
        server = SimServer(PlainScheduler(seed))
        yield Place(server.root, server.mount)


def purged_behind_its_back(place: Place) -> None:
    for record in (a_seen(1), CREATED, Deleted(**header(3), commit=GONE), PURGED):
        assert place.share("b").publish_project(CROSSING, record)
    place.files.read(place.root / "projects/crossing/records/00000001.json")
    place.share("b").purge(CROSSING, PURGED)


def test_a_namesakes_first_record_does_not_follow_the_project_that_was_purged() -> None:
    for place in places():
        purged_behind_its_back(place)
        assert place.share("test").publish_project(CROSSING, a_seen(5))
        assert place.is_there("projects/crossing/records/00000005.json")
        assert place.share("c").read().history(CROSSING).records == (a_seen(5),)


def test_no_claim_is_won_in_a_project_that_was_purged() -> None:
    for place in places():
        purged_behind_its_back(place)
        assert not place.share("test").publish_run(CROSSING, CREATED, a_claim(1))
        assert not place.is_there("projects/crossing")


@pytest.mark.parametrize("number", [3, 4])
def test_a_record_for_the_purged_project_is_refused_or_fails(number: int) -> None:
    for place in places():
        purged_behind_its_back(place)
        with contextlib.suppress(ShareUnavailable):
            assert not place.share("test").publish_project(CROSSING, Deleted(**header(number, "late"), commit=GONE))
