"""Publishing records: exactly one winner, decided by what stands there; a history without gaps."""

import errno
import multiprocessing
import os
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.records import RecordStore, record_name
from reconciler.core.names import Token
from reconciler.core.records import Claim
from reconciler.errors import ShareUnavailable
from tests.fakes.build import CROSSING, a_claim, a_created, done, failed

CREATED = a_created(1, "detect", number=2)


@pytest.fixture(autouse=True)
def project(root: Path) -> None:
    """Its first record made it; a run's records never do."""
    (root / "projects/crossing").mkdir()


def claim(number: int, token: str, node: str = "a") -> Claim:
    return replace(a_claim(number, node), token=Token(token))


def race_in_process(root: Path, name: str, start: "multiprocessing.synchronize.Barrier", answer: Connection) -> None:
    share = SharedDirectory(root, writer=name)
    share.identity()
    start.wait(20)
    won = [share.publish_run(CROSSING, CREATED, claim(number, f"{name}-{number}", name)) for number in range(1, 21)]
    answer.send(won)


def check_race(root: Path, answers: dict[str, list[bool]]) -> None:
    store: RecordStore[bytes] = RecordStore(root / "tmp", lambda content: content, writer="reader")
    records = store.read(root / "projects/crossing/runs/0001-detect/records")
    assert len(records) == 20
    for number, content in enumerate(records, 1):
        winners = [name for name, won in answers.items() if won[number - 1]]
        assert len(winners) == 1, f"record {number} was won by {winners}"
        assert f'"{winners[0]}-{number}"'.encode() in content
    assert not list((root / "tmp").iterdir()), "drafts were left behind"


def test_one_of_many_threads_publishes_a_number(root: Path) -> None:
    answers: dict[str, list[bool]] = {}
    start = threading.Barrier(8)

    def race(name: str) -> None:
        share = SharedDirectory(root, writer=name)
        start.wait(20)
        answers[name] = [
            share.publish_run(CROSSING, CREATED, claim(number, f"{name}-{number}", name)) for number in range(1, 21)
        ]

    threads = [threading.Thread(target=race, args=(f"n{index}",)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    check_race(root, answers)


def test_one_of_many_processes_publishes_a_number(root: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    answers: dict[str, list[bool]] = {}
    racers = []
    for index in range(3):
        mine, theirs = spawn.Pipe(duplex=False)
        process = spawn.Process(target=race_in_process, args=(root, f"n{index}", start, theirs))
        process.start()
        racers.append((f"n{index}", process, mine, theirs))
    for name, process, mine, theirs in racers:
        assert mine.poll(60), "no answer within a minute"
        answers[name] = mine.recv()
        process.join(20)
        process.close()
        mine.close()
        theirs.close()
    check_race(root, answers)


@pytest.mark.parametrize("reported", [errno.EEXIST, errno.EIO])
def test_a_link_whose_reply_was_lost_is_still_ours(
    share: SharedDirectory, monkeypatch: pytest.MonkeyPatch, reported: int
) -> None:
    """NFS may report EEXIST for a link that is ours (link(2), BUGS): the token decides, not the errno."""
    link = os.link

    def linked_but_lost(source: Path, target: Path) -> None:
        link(source, target)
        raise OSError(reported, os.strerror(reported))

    monkeypatch.setattr(os, "link", linked_but_lost)
    assert share.publish_run(CROSSING, CREATED, claim(1, "mine"))
    assert not share.publish_run(CROSSING, CREATED, claim(1, "another"))


def test_a_link_that_failed_for_good_is_an_error_not_a_lost_race(
    share: SharedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", fails)
    with pytest.raises(ShareUnavailable, match="input/output error"):
        share.publish_run(CROSSING, CREATED, claim(1, "mine"))


def test_a_record_that_was_read_is_never_read_again(
    share: SharedDirectory, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share.publish_run(CROSSING, CREATED, claim(1, "t1"))
    share.read_run(CROSSING, CREATED)
    opened: list[str] = []
    read_bytes = Path.read_bytes

    def counting(path: Path) -> bytes:
        opened.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    share.read_run(CROSSING, CREATED)
    assert opened == []
    share.publish_run(CROSSING, CREATED, done(2))
    opened.clear()
    share.read_run(CROSSING, CREATED)
    assert opened == [record_name(2)]


def test_a_final_run_is_not_even_listed_again(share: SharedDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    share.publish_run(CROSSING, CREATED, claim(1, "t1"))
    share.publish_run(CROSSING, CREATED, failed(2))
    assert share.read_run(CROSSING, CREATED).is_final

    def refused(path: object) -> object:
        raise AssertionError(f"{path} was listed")

    monkeypatch.setattr(os, "scandir", refused)
    assert share.read_run(CROSSING, CREATED).is_final


def test_a_draft_that_could_not_be_written_is_not_left_behind(
    share: SharedDirectory, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ShareUnavailable, match="the share is full"):
        share.publish_run(CROSSING, CREATED, claim(1, "mine"))
    assert not list((root / "tmp").iterdir())
    assert share.read_run(CROSSING, CREATED).records == ()
