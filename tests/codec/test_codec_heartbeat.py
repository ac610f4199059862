"""Remarks on runs travel in heartbeats, which anybody may have written."""

import json
from pathlib import Path

import pytest

from reconciler.adapters.share.heartbeat import HeartbeatFile
from reconciler.codec.heartbeat import (
    MOST,
    MOST_IMAGES,
    WIDTH,
    availability,
    heard,
    heard_availability,
    heard_remarks,
    remarks,
    troubles,
)
from reconciler.core.names import ProjectName
from reconciler.core.nodes import Availability, Remark
from reconciler.core.status import condition

ULM = ProjectName("ulm")


def test_remarks_are_heard_as_they_were_said() -> None:
    said = {ULM: Remark("ContainerPaused", "docker unpause it")}
    assert heard_remarks(json.dumps(remarks(said)).encode()) == said


def test_a_heartbeat_has_room_for_a_few_short_ones() -> None:
    said = {ProjectName(f"p{i}"): Remark("ContainerPaused", "x" * 1000) for i in range(20)}
    heard = heard_remarks(json.dumps(remarks(said)).encode())
    assert (len(heard), {len(one.message) for one in heard.values()}) == (MOST, {WIDTH})


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[]", b'{"runs": 3}', b'{"runs": {"ulm": "x"}}', b'{"runs": {"ulm": [1]}}']
)
def test_what_cannot_be_read_says_nothing(content: bytes | None) -> None:
    assert heard_remarks(content) == {}


def test_what_others_rank_a_node_by_is_heard_as_it_was_said() -> None:
    said = Availability(
        busy={"GPU-1": "python (pid 4711)"}, images=frozenset({"0a1b2c3d"}), load=0.7, reserved="crossing/3"
    )
    assert heard_availability(json.dumps(availability(said)).encode()) == said
    assert availability(Availability()) == {}


def test_the_most_that_a_node_says_leaves_room_for_what_people_read(tmp_path: Path) -> None:
    said = Availability(
        busy={f"GPU-{n:08x}-0000-4000-8000-{n:012x}": "x" * 200 for n in range(1000)},
        images=frozenset(f"{n:08x}" for n in range(1000)),
        load=0.3,
        reserved="p" * 200,
    )
    beat = HeartbeatFile(tmp_path / "heartbeat")
    told = troubles([condition("GpuFaulty", "x" * 300)], {})
    mine = {"node": "a", "pid": 4194304, "every": 10.0, "commit": "0" * 64, "followed": "0" * 32}
    beat.beat({**mine, **availability(said), **told})
    content = (tmp_path / "heartbeat").read_bytes()
    heard_of = heard_availability(content)
    assert (len(heard_of.busy) > 56, heard_of.load, heard_of.reserved) == (True, 0.3, "p" * 200)
    assert "GpuFaulty" in heard(content)[0]
    beat.close()


@pytest.mark.parametrize(("number", "letters"), [(12, 40), (16, 40), (24, 10), (56, 1)])
def test_of_many_gpus_in_use_words_are_cut_and_no_device(number: int, letters: int) -> None:
    busy = {f"MIG-{n:08x}-0000-4000-8000-{n:012x}": "x" * 200 for n in range(number)}
    images = frozenset(f"{n:08x}" for n in range(MOST_IMAGES))
    found = heard_availability(json.dumps(availability(Availability(busy=busy, images=images))).encode())
    assert set(found.busy) == set(busy)
    assert {len(who) for who in found.busy.values()} == {letters}
    assert len(found.images) == MOST_IMAGES or number > 40


def test_a_word_that_is_not_utf_8_keeps_nobody_from_beating(tmp_path: Path) -> None:
    beat = HeartbeatFile(tmp_path / "heartbeat")
    beat.beat(troubles([condition("GpuFaulty", "used by tr\udce4in")], {}))
    beat.close()
    assert heard((tmp_path / "heartbeat").read_bytes())[0] == {"GpuFaulty": "used by tr?in"}


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"{",
        b"[]",
        b'{"busy": [], "images": 3, "load": "high", "reserved": 7}',
        b'{"busy": null, "images": null, "load": null}',
        b'{"load": NaN}',
        b'{"load": true, "images": "abc"}',
    ],
)
def test_an_odd_heartbeat_makes_nobody_busy(content: bytes | None) -> None:
    found = heard_availability(content)
    assert (found.busy, found.images, found.reserved) == ({}, frozenset(), "")
    assert 0.0 <= found.load <= 1.0
