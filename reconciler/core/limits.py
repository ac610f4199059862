"""Limits of tags and projects, counted over the open claims of all nodes.

Two nodes may claim at the same instant, each unaware of the other. So whoever has claimed counts again before it
starts anything: of all that are counted the last claim was published last, and its node has read the others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.core.desired import Desired, Limit, Requires
from reconciler.core.fitting import gib
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName, RunNumber
from reconciler.core.records import Claim

NAMED = 5
"""So many runs are named that hold what is limited."""


@dataclass(frozen=True, slots=True)
class _Held:
    gpus: int = 0
    cpus: float = 0.0
    memory: int = 0
    stages: int = 0
    runs: tuple[str, ...] = ()

    def plus(self, requires: Requires, run: str) -> "_Held":
        return _Held(
            gpus=self.gpus + requires.gpus.count,
            cpus=self.cpus + requires.cpus,
            memory=self.memory + requires.memory,
            stages=self.stages + 1,
            runs=(*self.runs, run),
        )

    def beside(self, other: "_Held") -> "_Held":
        return _Held(
            gpus=self.gpus + other.gpus,
            cpus=self.cpus + other.cpus,
            memory=self.memory + other.memory,
            stages=self.stages + other.stages,
            runs=self.runs + other.runs,
        )


_NOTHING = _Held()


class Limits:
    """What is held of each limit; grows with what a plan takes."""

    def __init__(self, desired: Desired, claims: Iterable[tuple[ProjectName, Run, Claim]]) -> None:
        self._desired = desired
        self._any = bool(desired.site.tag_limits or desired.site.project_limits)
        self._held: dict[str, _Held] = {}
        self._awaited: dict[str, _Held] = {}  # by stages that came first and don't fit yet
        for project, run, _ in claims if self._any else ():
            self.hold(project, run.number, run.created.requires)

    def hold(self, project: ProjectName, run: RunNumber, requires: Requires) -> None:
        for whose, _ in self._of(project):
            held, name = self._held.get(whose, _NOTHING), f"{project}/{run}"
            if name not in held.runs:  # a claim that is taken over holds no more than before
                self._held[whose] = held.plus(requires, name)

    def await_turn(self, project: ProjectName, run: str, requires: Requires) -> None:
        """Later stages get what is left beside this one's share: else small ones would pass it for ever."""
        for whose, _ in self._of(project):
            self._awaited[whose] = self._awaited.get(whose, _NOTHING).plus(requires, run)

    def impossible(self, project: ProjectName, requires: Requires) -> str:
        """Why the stage may not even run alone; empty if it may."""
        for whose, limit in self._of(project):
            for most, needed, _ in _counted(limit, requires, _NOTHING):
                return f"{whose} may hold {most} at once (limits in winslow.yaml), but it needs {needed}"
        return ""

    def reached(self, project: ProjectName, run: str, requires: Requires) -> str:
        """Why the run ("crossing/3") may not start beside those that run; empty if it may."""
        for whose, limit in self._of(project):
            held, awaited = self._held.get(whose, _NOTHING), self._awaited.get(whose, _NOTHING)
            is_in = run in held.runs
            for most, needed, there in _counted(limit, requires, held, is_in=is_in):
                return _words(whose, most, f"needs {needed}", there, held)
            for most, needed, there in () if is_in else _counted(limit, requires, held.beside(awaited)):
                first = f"{_named(awaited)} came first, and would hold {there} with what runs"
                return f"{whose} may hold {most} at once (limits in winslow.yaml): {first}; needs {needed}"
        return ""

    def exceeded(self, project: ProjectName, requires: Requires) -> str:
        """Why a claim that is counted already must not be acted on; empty if it may."""
        for whose, limit in self._of(project):
            held = self._held.get(whose, _NOTHING)
            for most, _, there in _counted(limit, requires, held, is_in=True):
                return _words(whose, most, "was claimed beside", there, held)
        return ""

    def _of(self, project: ProjectName) -> Iterator[tuple[str, Limit]]:
        if not self._any:
            return
        site, found = self._desired.site, self._desired.projects.get(project)
        if project in site.project_limits:
            yield f"project {project}", site.project_limits[project]
        for tag in dict.fromkeys(found.tags) if found else ():
            if tag in site.tag_limits:
                yield f"tag '{tag}'", site.tag_limits[tag]


def _counted(limit: Limit, requires: Requires, held: _Held, *, is_in: bool = False) -> Iterator[tuple[str, str, str]]:
    """In words: the most of each thing that would be too much, what the stage needs of it, what is held.

    What a stage does not need keeps it from nothing: those of a tag that has all its GPUs may use processors.
    """
    for most, needed, there, told in (
        (limit.stages, 1, held.stages, _stages),
        (limit.gpus, requires.gpus.count, held.gpus, _gpus),
        (limit.cpus, requires.cpus, held.cpus, _cpus),
        (limit.memory, requires.memory, held.memory, _memory),
    ):
        if most is not None and needed and there + (0 if is_in else needed) > most + 1e-9:
            yield told(most), told(needed), told(there)


def _words(whose: str, most: str, needs: str, there: str, held: _Held) -> str:
    by = f"{there} held by {_named(held)}" if held.runs else "nothing is held"
    return f"{whose} may hold {most} at once (limits in winslow.yaml): {by}; {needs}"


def _named(held: _Held) -> str:
    more = f" and {len(held.runs) - NAMED} more" if len(held.runs) > NAMED else ""
    return ", ".join(sorted(held.runs)[:NAMED]) + more


def _stages(number: float) -> str:
    return f"{number:g} stage{'' if number == 1 else 's'}"


def _gpus(number: float) -> str:
    return f"{number:g} GPU{'' if number == 1 else 's'}"


def _cpus(number: float) -> str:
    return f"{number:g} cpu{'' if number == 1 else 's'}"


def _memory(size: float) -> str:
    return gib(int(size))
