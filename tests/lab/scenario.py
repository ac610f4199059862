"""A scenario: what is done to the machines, what Winslow promises then, and the figure that it is held to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from tests.lab.lab import Lab


@dataclass
class Options:
    """How a person may turn it. ``ttl``, ``repeat``: None is what the scenario itself takes for right."""

    short: bool = False
    ttl: float | None = None
    repeat: int | None = None
    storm: float = 10.0  # GB


@dataclass
class Told:
    """What a scenario found, for the report."""

    figures: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def say(self, figure: str) -> None:
        self.figures.append(figure)

    def time(self, what: str, seconds: float) -> None:
        self.seconds.setdefault(what, []).append(round(seconds, 1))

    def median(self, what: str) -> float:
        return median(self.seconds[what])

    def text(self) -> str:
        timed = [f"{what} {_times(found)}" for what, found in self.seconds.items()]
        return "; ".join([*timed, *self.figures])


def _times(found: list[float]) -> str:
    if len(found) == 1:
        return f"{found[0]:g} s"
    return f"median {median(found):g} s of {len(found)} ({min(found):g} to {max(found):g})"


Act = Callable[[Lab, Options, Told], None]


@dataclass(frozen=True)
class Scenario:
    name: str
    promise: str
    act: Act
    in_short: bool = False  # part of the short form, for CI


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, promise: str, *, in_short: bool = False) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        SCENARIOS[name] = Scenario(name, promise, act, in_short)
        return act

    return register
