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
_LIKE_A_SIZE = re.compile(r"\s*([0-9]{1,9})(?:[.,]([0-9]{1,3}))?\s*(?:([kmgt])(i?)(?:b|bytes?)?)?\s*", re.IGNORECASE)


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


def meant_size(text: str) -> str:
    """How a size in another spelling is written here: ``16GB or 16GiB`` for ``16 gb``; empty if nobody can tell."""
    found = _LIKE_A_SIZE.fullmatch(text)
    if found is None or not float(f"{found[1]}.{found[2] or 0}"):
        return ""
    if not found[3] and len(found[1]) > 3:  # 16 are gigabytes; 8192 may be anything
        return ""
    size = f"{found[1]}{'.' if found[2] else ''}{found[2] or ''}{(found[3] or 'g').upper()}"
    return f"{size}iB" if found[4] else f"{size}B or {size}iB"


def duration_text(length: timedelta) -> str:
    """As people write it: ``7d``, ``1h30m``, ``0s``."""
    left, parts = int(length.total_seconds()), []
    for unit, seconds in _SECONDS.items():
        number, left = divmod(left, seconds)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts) or "0s"
