"""Durations ("1m30s") and sizes ("8GiB"): always written with a unit, so that nobody has to guess it."""

import re
from datetime import timedelta
from decimal import Decimal

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_BYTES = {"B": 1} | {
    f"{letter}{i}B": (1024 if i else 1000) ** n for n, letter in enumerate("KMGT", 1) for i in ("i", "")
}
_PART = re.compile(r"([0-9.]+)([dhms])")
_SIZE = re.compile(r"([0-9.]+) ?([A-Za-z]+)")


def duration(text: str) -> timedelta:
    """The schema's pattern (``duration`` and ``delay``) has passed ``text``."""
    seconds = sum(Decimal(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    return timedelta(milliseconds=int(seconds * 1000))


def memory(text: str) -> int:
    """Bytes. The schema's pattern has passed ``text``."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a size: {text!r}")
    return int(Decimal(match[1]) * _BYTES[match[2]])


def duration_text(length: timedelta) -> str:
    """As people write it: ``7d``, ``1h30m``, ``0s``."""
    left, parts = int(length.total_seconds()), []
    for unit, seconds in _SECONDS.items():
        number, left = divmod(left, seconds)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts) or "0s"
