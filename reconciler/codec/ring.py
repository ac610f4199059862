"""A file of rings: fixed in size, written in place, readable at any moment by anybody.

The first page holds one line of JSON: columns, rings, and a note (what a run has used so far). The rings follow, each
a row of slots. A slot is its row's number and time, the values, in coarser rings their peaks, and a checksum: one that
was never written, is half written or belongs to an older round of its ring is told by these alone.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

from reconciler.core.measurements import RESOLUTIONS, Recorded, RecordedRing, Resolution, Row, Slot, in_order

FORMAT, VERSION = "winslow-rings", 1
PAGE = 4096
NOTE = 1024
"""Bytes that are kept free for the note."""
MOST_COLUMNS, MOST_SLOTS = 2000, 100_000
HALF = 65504.0
"""The largest half float: three digits are enough for a chart, and halve the file."""
UNITS = {
    "memory": 2.0**30,
    "swap": 2.0**30,
    "gpu_memory": 2.0**30,
    "received": 2.0**20,
    "sent": 2.0**20,
    "read": 2.0**20,
    "written": 2.0**20,
}
"""In what a column is kept; others as they are."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where everything lies in a file with these columns and rings."""

    columns: tuple[str, ...]
    resolutions: tuple[Resolution, ...] = RESOLUTIONS

    @property
    def start(self) -> int:
        """Of the first ring: whole pages after the header."""
        return -(-(len(_header(self, {})) + NOTE) // PAGE) * PAGE

    def slot(self, ring: int) -> struct.Struct:
        values = len(self.columns) * (1 if ring == 0 else 2)
        return struct.Struct(f"<II{values}e")

    def offset(self, ring: int) -> int:
        before = (self.size(index) * self.resolutions[index].slots for index in range(ring))
        return self.start + sum(before)

    def size(self, ring: int) -> int:
        """Of one slot, with its checksum."""
        return self.slot(ring).size + 4


def header(shape: Shape, note: Mapping[str, float]) -> bytes:
    """The first page, or pages: write it whole."""
    return _header(shape, note).ljust(shape.start, b"\0")


def _header(shape: Shape, note: Mapping[str, float]) -> bytes:
    told = {
        "format": FORMAT,
        "version": VERSION,
        "columns": shape.columns,
        "rings": [[one.step, one.slots] for one in shape.resolutions],
        "note": {name: value for name, value in note.items() if isfinite(value)},
    }
    return json.dumps(told).encode() + b"\n"


class Writing:
    """Turns rows of one file into bytes and their places."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._units = [_unit(name) for name in shape.columns]
        rings = range(len(shape.resolutions))
        self._places = [(shape.slot(ring), shape.offset(ring), shape.size(ring)) for ring in rings]

    def parts(self, slots: Iterable[Slot]) -> list[tuple[int, bytes]]:
        """Offsets and bytes; neighbours as one part."""
        parts: list[tuple[int, bytearray]] = []
        for offset, data in sorted(dict(map(self._placed, slots)).items()):
            if parts and parts[-1][0] + len(parts[-1][1]) == offset:
                parts[-1][1].extend(data)
            else:
                parts.append((offset, bytearray(data)))
        return [(offset, bytes(data)) for offset, data in parts]

    def _placed(self, slot: Slot) -> tuple[int, bytes]:
        _, first, size = self._places[slot.ring]
        return first + slot.number % self._shape.resolutions[slot.ring].slots * size, self._packed(slot)

    def _packed(self, slot: Slot) -> bytes:
        packer, _, _ = self._places[slot.ring]
        row = slot.row
        values = row.values if slot.ring == 0 else (*row.values, *row.peaks)
        units = self._units if slot.ring == 0 else [*self._units, *self._units]
        kept = (_half(value / unit) for value, unit in zip(values, units, strict=True))
        data = packer.pack(slot.number & 0xFFFFFFFF, max(0, min(row.time, 0xFFFFFFFF)), *kept)
        return data + _check(data)


def _half(value: float) -> float:
    return value if isnan(value) else max(-HALF, min(HALF, value))


def load(content: bytes) -> Recorded | None:
    """What a file holds now; None if it is none of ours, or of a newer Winslow."""
    found = _load_header(content)
    if found is None:
        return None
    shape, note = found
    rings = tuple(_ring(content, shape, index) for index in range(len(shape.resolutions)))
    return Recorded(shape.columns, rings, note)


def _load_header(content: bytes) -> tuple[Shape, Mapping[str, float]] | None:
    try:
        told: Any = json.loads(content.partition(b"\n")[0])
        if told["format"] != FORMAT or told["version"] != VERSION:
            return None
        shape = Shape(
            tuple(str(name) for name in told["columns"]),
            tuple(Resolution(int(step), int(slots)) for step, slots in told["rings"]),
        )
        note = {str(name): float(value) for name, value in told["note"].items()}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    fits = 0 < len(shape.columns) <= MOST_COLUMNS and 0 < len(shape.resolutions) <= 10
    is_sound = fits and all(one.step > 0 and 0 < one.slots <= MOST_SLOTS for one in shape.resolutions)
    return (shape, note) if is_sound else None


def _ring(content: bytes, shape: Shape, ring: int) -> RecordedRing:
    resolution = shape.resolutions[ring]
    found = sorted(_slots(content, shape, ring), key=lambda one: one[0])
    newest = found[-1][0] if found else 0
    rows = [row for number, row in found if number > newest - resolution.slots]
    return RecordedRing(resolution, newest, in_order(rows, lambda row: row.time))


def _slots(content: bytes, shape: Shape, ring: int) -> Iterator[tuple[int, Row]]:
    packer, size, count = shape.slot(ring), shape.size(ring), shape.resolutions[ring].slots
    begin, units, width = shape.offset(ring), [_unit(name) for name in shape.columns], len(shape.columns)
    for index in range(min(count, max(0, len(content) - begin) // size)):
        offset = begin + index * size
        number, time, *values = packer.unpack_from(content, offset)
        data = content[offset : offset + packer.size]
        if number == 0 or content[offset + packer.size : offset + size] != _check(data):
            continue
        yield number, Row(time, _scaled(values[:width], units), _scaled(values[-width:], units))


def _check(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


def _scaled(values: Sequence[float], units: Sequence[float]) -> tuple[float, ...]:
    return tuple(value * unit for value, unit in zip(values, units, strict=True))


def _unit(column: str) -> float:
    return UNITS.get(column.partition(":")[0], 1.0)
