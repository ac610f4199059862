"""What an examination finds, and how one is asked: below a deadline, for a hung mount blocks for ever."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler.errors import WinslowError


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"  # nothing is wrong, but worth knowing
    WARNING = "warning"  # it works, worse or less safely than it could
    PROBLEM = "problem"  # this node will not work, or not safely


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``advice`` is what to change, and where; of what is well there is none."""

    area: str  # node, git, share, engine, gpu, peer
    level: Level
    message: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """One thing to look at. ``look`` may block and raise what it likes."""

    area: str
    name: str
    look: Callable[[], Sequence[Finding]]


def ok(area: str, message: str) -> Finding:
    return Finding(area=area, level=Level.OK, message=message)


def note(area: str, message: str, advice: str = "") -> Finding:
    return Finding(area=area, level=Level.NOTE, message=message, advice=advice)


def warning(area: str, message: str, advice: str) -> Finding:
    return Finding(area=area, level=Level.WARNING, message=message, advice=advice)


def problem(area: str, message: str, advice: str = "") -> Finding:
    return Finding(area=area, level=Level.PROBLEM, message=message, advice=advice)


def examine(examination: Examination, deadline: float) -> Sequence[Finding]:
    """Its findings; that it failed, or gave no answer within ``deadline`` seconds, is a finding as well.

    The thread is left behind then: no call into a hung mount can be taken back.
    """
    found: list[Finding] = []
    area, name = examination.area, examination.name

    def look() -> None:
        try:
            found.extend(examination.look())
        except WinslowError as error:
            found.append(problem(area, str(error)))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            found.append(problem(area, f"{name}: {where}{error.strerror or error}"))

    thread = threading.Thread(target=look, daemon=True, name=name)
    thread.start()
    thread.join(deadline)
    if thread.is_alive():
        hint = "is its server up, and the network to it? A hung mount looks like this" if area == "share" else ""
        return [problem(area, f"{name} gave no answer within {deadline:g} s", hint)]
    return found
