"""How values read to a person: times, sizes, links, and text from programs made harmless."""

import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

from reconciler.core.ledger import RunPhase
from reconciler.core.status import ProjectPhase, StageState

_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

RANK = re.compile(r"^rank (\d{1,6})\b")
ORDINALS = ("first", "second", "third")

TONES: Mapping[str, str] = {
    ProjectPhase.RUNNING: "running",
    ProjectPhase.SUCCEEDED: "done",
    ProjectPhase.FAILED: "failed",
    ProjectPhase.INVALID: "failed",
    ProjectPhase.AWAITING_INPUT: "waiting",
    ProjectPhase.PAUSED: "waiting",
    RunPhase.STARTING: "running",
    RunPhase.ABORTED: "failed",
    RunPhase.LOST: "failed",
    StageState.RUNNING: "running",
    StageState.PAUSED: "waiting",
    StageState.FAILED: "failed",
    StageState.SUCCEEDED: "done",
}
"""Which of the five colours a phase or state wears; what is not here stays grey."""


def plain(text: str) -> str:
    """Text without colours, cursor movements, direction overrides and other invisible tricks."""
    text = _TERMINAL.sub("", text)
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


def log_text(line: str) -> str:
    """What a terminal would show in the end of a line that a progress bar rewrote with carriage returns."""
    return plain(line.rstrip("\r\n").rsplit("\r", 1)[-1])


def finalize(value: object) -> object:
    """For every value a template prints: nothing for None, plain text for text. Markup was made by us."""
    if value is None:
        return ""
    return plain(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def tone(state: str | None) -> str:
    return TONES.get(state, "idle") if state else "idle"


def spaced(word: str) -> str:
    """``AwaitingInput`` as ``Awaiting input``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).capitalize()


def choice(answer: str) -> str:
    """A node's ``rank 1: busier`` as ``second choice: busier``; other answers as they are."""
    return RANK.sub(lambda rank: f"{_ordinal(int(rank[1]) + 1)} choice", answer)


def _ordinal(number: int) -> str:
    if number <= len(ORDINALS):
        return ORDINALS[number - 1]
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def duration(time: timedelta) -> str:
    """Two units at most: 48 s, 12 min, 3 h 12 min, 2 d 4 h."""
    seconds = max(0, int(time.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def ago(then: datetime, now: datetime) -> str:
    """Coarse on purpose: a page that changes every second can't be read, nor answered with 304."""
    minutes = int((now - then).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 24 * 60:
        return f"{minutes // 60} h ago"
    days = minutes // (24 * 60)
    return "yesterday" if days == 1 else f"{days} days ago"


def size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def link(*parts: object) -> str:
    """A path on this page from its parts, each quoted on its own; the last one may be a path itself."""
    *names, last = (str(part) for part in parts)
    return "/" + "/".join([*map(quoted, names), quote(last, errors="replace")])


def quoted(text: str) -> str:
    """Text as one part of a path or as a query's value."""
    return quote(text, safe="", errors="replace")


def shell(command: Sequence[str]) -> str:
    """A command as one would type it."""
    return shlex.join(command)


def web_address(url: str | None) -> str | None:
    """``url`` if it leads to a web page: people's text never becomes a ``javascript:`` link."""
    try:
        return url if url and urlsplit(url).scheme in ("http", "https") else None
    except ValueError:
        return None
