"""Histories as they are read back, from a disk and through a simulated NFS client."""

from dataclasses import replace

import pytest

from reconciler.codec.records import dump_record
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName, Token
from reconciler.core.records import Claim
from reconciler.errors import RecordUnreadable
from tests.fakes.build import CROSSING, a_claim, a_created, a_seen, done
from tests.share.place import Place

CREATED = a_created(1, "detect", number=2)


@pytest.fixture(autouse=True)
def project(place: Place) -> None:
    """Its first record made it; a run's records never do."""
    place.files.mkdir(place.root / "projects/crossing")


def claim(number: int, token: str) -> Claim:
    return replace(a_claim(number), token=Token(token))


def test_publishing_the_same_record_twice_is_true_twice(place: Place) -> None:
    """A reply that was lost on the way up makes a caller ask again."""
    share = place.share()
    assert share.publish_run(CROSSING, CREATED, claim(1, "mine"))
    assert share.publish_run(CROSSING, CREATED, claim(1, "mine"))


def test_a_gap_ends_the_history(place: Place) -> None:
    share = place.share()
    for number in (1, 2, 4):
        assert share.publish_run(CROSSING, CREATED, claim(number, f"t{number}"))
    run = share.read_run(CROSSING, CREATED)
    assert [record.number for record in run.records] == [1, 2]
    assert share.publish_run(CROSSING, CREATED, claim(3, "t3"))
    assert [record.number for record in share.read_run(CROSSING, CREATED).records] == [1, 2, 3, 4]


def test_everything_that_was_published_is_read_back(place: Place) -> None:
    share = place.share()
    seen = a_seen(1)
    assert share.publish_project(CROSSING, seen)
    assert share.publish_project(CROSSING, CREATED)
    assert share.publish_run(CROSSING, CREATED, a_claim())
    assert share.publish_run(CROSSING, CREATED, done())
    for reader in (share, place.share("b")):
        history = reader.read().history(CROSSING)
        assert history.records == (seen, CREATED)
        assert history.runs == (Run(created=CREATED, records=(a_claim(), done())),)


def test_an_unreadable_record_costs_its_project_and_no_other(place: Place) -> None:
    share = place.share()
    share.publish_project(CROSSING, a_seen(1))
    share.publish_project(ProjectName("ulm"), a_seen(1))
    place.write("projects/crossing/records/00000002.json", '{"kind": "RUN"')
    ledger = share.read()
    assert list(ledger.projects) == ["ulm"]
    assert "00000002.json" in ledger.unreadable[CROSSING]


def test_a_record_of_another_kind_is_refused(place: Place) -> None:
    share = place.share()
    place.write("projects/crossing/runs/0001-detect/records/00000001.json", dump_record(a_seen(1)).decode())
    with pytest.raises(RecordUnreadable, match="DesiredSeen record stands where it doesn't belong"):
        share.read_run(CROSSING, CREATED)


def test_stray_files_beside_the_projects_and_nodes_disturb_nobody(place: Place) -> None:
    share = place.share()
    for name in ("projects", "nodes"):
        place.write(f"{name}/.nfs000012", "still open somewhere")
    share.publish_project(CROSSING, a_seen(1))
    assert list(share.read().projects) == [CROSSING]
    assert share.read_nodes() == {}


def test_numbers_have_eight_digits(place: Place) -> None:
    share = place.share()
    share.publish_run(CROSSING, CREATED, claim(1, "mine"))
    assert place.is_there("projects/crossing/runs/0001-detect/records/00000001.json")
