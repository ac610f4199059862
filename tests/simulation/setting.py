"""What a seed decides before anything happens: how many machines and projects, how fast, and what programs do."""

import random
from dataclasses import dataclass, replace
from typing import Any

from reconciler.core.containers import Order
from tests.fakes.history import Files, path_of
from tests.simulation.engine import Program

STAGES = ("detect", "track", "report", "export")
LISTED = 75  # an exit code that is tried again
PACES = ((1, 6), (1, 10), (2, 12))
"""Heartbeat and TTL in seconds. No rule knows which; short ones make short histories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    seed: int
    nodes: int
    projects: int
    stages: int
    heartbeat: int
    ttl: int
    latency: float  # seconds of a usual call
    trouble: float  # for so many seconds faults happen and people edit
    faults: int
    kinds: tuple[str, ...]  # of faults; none: any
    edits: int
    sync: bool  # does the server acknowledge only what is on its disk?
    listening: bool  # do nodes answer for their claims?
    drifting: bool  # do clocks run at rates from 0.5 to 2?

    @property
    def runs(self) -> int:
        return self.projects * self.stages

    def files(self) -> Files:
        stages: list[dict[str, Any]] = [
            {
                "name": name,
                "image": "image:1",
                "requires": {"cpus": 1},
                "retries": {"limit": 2, "backoff": "1s", "exit_codes": [LISTED]},
            }
            for name in STAGES[: self.stages]
        ]
        return {
            "winslow.yaml": {"version": 1, "heartbeat": f"{self.heartbeat}s", "ttl": f"{self.ttl}s"},
            "pipelines/flow.yaml": {"stages": stages},
            "projects/_defaults.yaml": {"pipeline": "flow"},
            **{path_of(name): {"name": name} for name in self.project_names()},
        }

    def node_names(self) -> list[str]:
        return [chr(ord("a") + number) for number in range(self.nodes)]

    def project_names(self) -> list[str]:
        return [f"p{number + 1}" for number in range(self.projects)]

    def program(self, order: Order) -> Program:
        """The same for the same attempt, whatever happened before."""
        key = order.key
        chance = random.Random(f"{self.seed} {key.project} {key.run} {key.number}")  # noqa: S311  # a history, not a secret
        drawn = chance.random()
        code = 0 if drawn < 0.85 else LISTED if drawn < 0.9 else 1 if drawn < 0.95 else 137
        seconds = chance.uniform(15, 60) if chance.random() < 0.15 else chance.uniform(0.05, 6)
        return Program(seconds, code)


def drawn(seed: int) -> Setting:
    """Mostly small: many small histories find more than a few large ones."""
    chance = random.Random(f"setting {seed}")  # noqa: S311  # a history, not a secret
    nodes = chance.choice((2, 2, 2, 3, 3, 4, 5))
    heartbeat, ttl = chance.choice(PACES)
    return Setting(
        seed=seed,
        nodes=nodes,
        projects=chance.choice((1, 1, 1, 2, 2, 3, 5)),
        stages=chance.choice((1, 2, 2, 3, 4)),
        heartbeat=heartbeat,
        ttl=ttl,
        latency=chance.choice((0.001, 0.003, 0.003, 0.03)),
        trouble=chance.choice((20.0, 40.0, 60.0)),
        kinds=(),
        faults=chance.choice((0, 1, 2, 2, 3, 4, 6)),
        edits=chance.choice((0, 0, 1, 2, 4)),
        sync=True,
        listening=chance.random() < 0.5,
        drifting=chance.random() < 0.5,
    )


def forgetful(seed: int) -> Setting:
    """An export without ``sync``: a server that restarts has forgotten what it had acknowledged."""
    return replace(drawn(seed), sync=False, kinds=("share_restarts", "kill", "freeze"), faults=4, trouble=40.0)


def large(seed: int) -> Setting:
    """Five nodes, twenty runs: what the benchmark counts."""
    return replace(drawn(seed), nodes=5, projects=5, stages=4, latency=0.003, trouble=40.0, faults=3, edits=2)
