"""Heartbeats and locks on the share."""

import multiprocessing
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.heartbeat import SIZE, HeartbeatFile
from reconciler.codec.heartbeat import heard
from reconciler.core.names import NodeName, RecordNumber, Token
from tests.fakes.build import A, B, a_node


def beating(share: SharedDirectory, node: NodeName = A) -> bytes:
    found = share.read_nodes()[node].heartbeat
    assert found is not None
    return found


def test_a_heartbeat_changes_at_each_beat_and_is_one_block(share: SharedDirectory) -> None:
    share.publish_node(a_node("a").record)
    heartbeat = share.heartbeat(A, "a-1")
    seen = set()
    for _ in range(5):
        heartbeat.beat({"node": "a", "remark": "long " * 300})
        seen.add(beating(share))
    heartbeat.close()
    assert len(seen) == 5
    assert {len(content) for content in seen} == {SIZE}


def test_what_a_heartbeat_has_no_room_for_costs_nothing_else(share: SharedDirectory) -> None:
    """A node with many troubles must not fall silent about all of them."""
    share.publish_node(a_node("a").record)
    heartbeat = share.heartbeat(A, "a-1")
    heartbeat.beat({"every": 5.0, "conditions": {"LedgerBehind": "behind"}, "runs": {"ulm": "ü" * SIZE}})
    heartbeat.close()
    assert heard(beating(share))[0] == {"LedgerBehind": "behind"}
    assert len(beating(share)) == SIZE


def test_a_heartbeat_that_was_opened_anew_still_differs(share: SharedDirectory) -> None:
    """A node whose descriptor fails every other time must not look dead."""
    share.publish_node(a_node("a").record)
    seen = set()
    for _ in range(3):
        heartbeat = share.heartbeat(A, "a-1")
        heartbeat.beat({})
        heartbeat.close()
        seen.add(beating(share))
    assert len(seen) == 3


def test_a_node_shows_the_heartbeat_of_its_newest_start(share: SharedDirectory) -> None:
    first = a_node("a").record
    share.publish_node(first)
    old = share.heartbeat(A, "a-1")
    old.beat({})
    assert not share.publish_node(replace(first, token=Token("another")))
    share.publish_node(replace(first, number=RecordNumber(2), incarnation="a-2"))
    assert share.read_nodes()[A].heartbeat is None
    new = share.heartbeat(A, "a-2")
    new.beat({"who": "new"})
    old.beat({"who": "old"})
    assert b"new" in beating(share)
    old.close()
    new.close()


def test_a_node_of_another_version_does_not_hide_the_others(share: SharedDirectory, root: Path) -> None:
    share.publish_node(a_node("a").record)
    share.publish_node(a_node("b").record)
    (root / "nodes/b/records/00000002.json").write_text('{"kind": "NODE", "version": 99}')
    assert list(share.read_nodes()) == [A]
    assert B not in share.read_nodes()


def hold(root: Path, name: str, answer: Connection) -> None:
    lock = SharedDirectory(root).try_lock(name)
    answer.send(lock is not None)
    answer.recv()


def test_a_lock_keeps_other_processes_out_until_its_holder_ends(share: SharedDirectory, root: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    holder = spawn.Process(target=hold, args=(root, "publisher", theirs))
    holder.start()
    assert mine.poll(60)
    assert mine.recv() is True
    assert share.try_lock("publisher") is None
    other = share.try_lock("another")
    assert other is not None
    other.release()
    holder.kill()
    holder.join(20)
    holder.close()
    mine.close()
    theirs.close()
    lock = share.try_lock("publisher")
    assert lock is not None, "a lock dies with its process"
    lock.release()


def test_a_beat_with_more_to_say_than_fits_still_changes(tmp_path: Path) -> None:
    """Else a node that complains at length would look dead."""
    beats = HeartbeatFile(tmp_path / "nodes/a/heartbeat.1")
    seen = set()
    for _ in range(3):
        beats.beat({"conditions": {"ShareUnavailable": "ü" * 10_000}})
        seen.add((tmp_path / "nodes/a/heartbeat.1").read_bytes())
    beats.close()
    assert len(seen) == 3
