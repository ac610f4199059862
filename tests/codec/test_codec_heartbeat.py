"""Remarks on runs travel in heartbeats, which anybody may have written."""

import json

import pytest

from reconciler.codec.heartbeat import MOST, WIDTH, heard_remarks, remarks
from reconciler.core.names import ProjectName
from reconciler.core.nodes import Remark

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
