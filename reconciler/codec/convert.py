"""Frozen records to plain JSON data and back: one converter for the ledger and for the status."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from cattrs import Converter

from reconciler.core.desired import Secret


def converter(finest: Literal["milliseconds", "microseconds"]) -> Converter:
    """Times as RFC 3339 in UTC, enums as their values, tuples as lists, a secret as its name."""
    made = Converter(detailed_validation=False, unstruct_collection_overrides={tuple: list})
    made.register_unstructure_hook(datetime, lambda moment: write_time(moment, finest))
    made.register_unstructure_hook(StrEnum, lambda word: word.value)
    made.register_structure_hook(datetime, lambda text, _: read_time(text))
    made.register_structure_hook(str | Secret, lambda value, _: _setting(value))
    return made


def write_time(moment: datetime, finest: Literal["milliseconds", "microseconds"]) -> str:
    """``2026-11-23T00:43:42.125Z``; without a fraction where there is none."""
    text = moment.astimezone(UTC).isoformat(timespec=finest if moment.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z"


def read_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text!r} names no time zone")
    return moment.astimezone(UTC)


def _setting(value: Any) -> str | Secret:
    return Secret(str(value["secret"])) if isinstance(value, Mapping) else str(value)
