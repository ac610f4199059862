import json
import time
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.codec.records import KINDS, dump_record, load_record
from reconciler.core.desired import Requires, Secret
from reconciler.core.environment import Setting
from reconciler.core.nodes import Capacity
from reconciler.core.records import RECORD_VERSION, Claim, Done, LogPointer, RunCreated
from reconciler.errors import RecordUnreadable

# Only what types can't tell: the ledger's times are UTC, its numbers finite.
moments = st.datetimes(timezones=st.just(UTC))
finite = st.floats(allow_nan=False, allow_infinity=False)
PARTS: dict[str, st.SearchStrategy[Any]] = {
    "version": st.just(RECORD_VERSION),
    "at": moments,
    "started_at": st.none() | moments,
    "ended_at": st.none() | moments,
    "timeout": st.none() | finite,
    "retries_backoff": finite,
    "requires": st.builds(Requires, cpus=finite),
    "capacity": st.builds(Capacity, cpus=finite),
}


def built(type_: Any) -> st.SearchStrategy[Any]:
    return st.builds(type_, **{part.name: PARTS[part.name] for part in fields(type_) if part.name in PARTS})


records = st.sampled_from(sorted(KINDS)).flatmap(lambda word: built(KINDS[word]))

CLAIM = Claim(
    number=2,  # type: ignore[arg-type]
    token="ab" * 16,  # type: ignore[arg-type]
    share="s",  # type: ignore[arg-type]
    node="lab-1",  # type: ignore[arg-type]
    at=datetime(2026, 11, 23, 1, 2, 3, 450000, UTC),
    because="Fresh",
    boot="b",
    incarnation="i",
    runtime="docker",
)


@given(record=records)
def test_a_record_reads_back_as_it_was_written(record: Any) -> None:
    written = dump_record(record)
    assert load_record(written) == record
    assert dump_record(load_record(written)) == written


def test_every_kind_of_record_has_its_word() -> None:
    assert set(KINDS) == {
        "DESIRED", "RUN", "DELETED", "RESTORED", "PURGED", "REWRITE_ACCEPTED", "REBUILT",
        "CLAIM", "DONE", "FAILED", "RELEASED", "ABORTED", "LOST", "NODE",
    }  # fmt: skip


def test_the_written_form_is_canonical_and_readable() -> None:
    data = json.loads(dump_record(CLAIM))
    assert data["kind"] == "CLAIM"
    assert data["at"] == "2026-11-23T01:02:03.450000Z"
    assert set(data) == {field.name for field in fields(Claim)} | {"kind"}
    assert list(data) == sorted(data)
    assert dump_record(CLAIM).endswith(b"}\n")


@given(record=built(RunCreated))
@settings(max_examples=5)
def test_a_secret_is_written_as_its_name_only(record: RunCreated) -> None:
    told = replace(record, environment={"A": Setting(Secret("tracker"), "x")})
    assert json.loads(dump_record(told))["environment"] == {"A": {"source": "x", "value": {"secret": "tracker"}}}


def test_fields_that_a_newer_winslow_added_are_left_out() -> None:
    data = {**json.loads(dump_record(CLAIM)), "colour": "blue"}
    assert load_record(json.dumps(data).encode()) == CLAIM


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "CLAIMED"}, "of kind 'CLAIMED', which this Winslow does not know"),
        ({"kind": None}, "of kind None"),
        ({"version": 2}, "has version 2 and this Winslow reads 1; update Winslow"),
        ({"at": "yesterday"}, "the CLAIM record lacks a field or holds a wrong one"),
        ({"at": "2026-11-23T01:02:03"}, "names no time zone"),
        ({"at": 5}, "the CLAIM record lacks a field or holds a wrong one"),
        ({"number": "x"}, "the CLAIM record lacks a field or holds a wrong one"),
        ({"gpus": 5}, "the CLAIM record lacks a field or holds a wrong one"),
    ],
)
def test_a_record_that_is_not_ours_is_refused(change: dict[str, object], words: str) -> None:
    data = {**json.loads(dump_record(CLAIM)), **change}
    with pytest.raises(RecordUnreadable, match=words):
        load_record(json.dumps(data).encode())


def test_a_record_torn_anywhere_is_refused() -> None:
    written = dump_record(CLAIM)
    for end in range(len(written) - 2):
        with pytest.raises(RecordUnreadable):
            load_record(written[:end])


@pytest.mark.parametrize("data", [b"[]", b"5", b"\xff", b"[" * 100_000, b"{}"])
def test_what_is_no_record_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(RecordUnreadable):
        load_record(data)


def test_two_thousand_records_are_read_in_well_under_a_second() -> None:
    log = LogPointer(path="projects/a/log.jsonl", tail=("x",) * 20)
    values = {
        field.name: getattr(CLAIM, field.name) for field in fields(CLAIM) if field.name in Done.__dataclass_fields__
    }
    written = [dump_record(CLAIM), dump_record(Done(**values, exit_code=0, log=log))]
    started = time.perf_counter()
    for _ in range(1000):
        for data in written:
            load_record(data)
    assert time.perf_counter() - started < 1
