"""A node that is killed again and again while its stages talk on: the test and the benchmark measure with it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reconciler.core.names import ProjectName
from reconciler.core.records import Claim, Done
from tests.crashes.place import SITE, Place, stage

UNTIL_TOLD = (
    'echo started >> "$WINSLOW_WORKSPACE/starts"; i=0; while [ ! -e "$WINSLOW_INPUT/enough" ]; do '
    'i=$((i+1)); echo line $i; sleep {pause}; done; echo $i > "$WINSLOW_OUTPUT/said"'
)
"""Numbered lines until a file tells it to end; then it leaves on record how many there were."""


class Running(Protocol):
    """A node's process."""

    @property
    def said(self) -> str: ...

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        ...


@dataclass(frozen=True)
class Tally:
    """What became of the stages: all zero, or something was lost or is there twice."""

    stages_lost: int
    stages_doubled: int
    lines_lost: int
    lines_doubled: int
    lines: int

    @property
    def is_whole(self) -> bool:
        return not (self.stages_lost or self.stages_doubled or self.lines_lost or self.lines_doubled)


@dataclass(frozen=True)
class Siege:
    """``stages`` projects of one endless stage each, on a place that has no node yet; ``start`` starts one."""

    place: Place
    stages: int
    start: Callable[[], Running]

    @property
    def names(self) -> list[ProjectName]:
        return [ProjectName(f"p{n:02d}") for n in range(self.stages)]

    def begin(self, *, pause: float) -> Running:
        """All stages run when this returns."""
        shell = UNTIL_TOLD.format(pause=pause)
        talk = stage("talk", shell, requires={"cpus": 0.05})
        self.place.commit(
            {
                "winslow.yaml": SITE,
                "pipelines/talk.yaml": json.dumps({"stages": [talk]}),
                **{f"projects/{name}.yaml": f"name: {name}\npipeline: talk\n" for name in self.names},
            }
        )
        node = self.start()
        self.place.until(lambda: node.said.count('"container_started"') == self.stages, "all stages run")
        return node

    def kill(self, node: Running, after: float) -> tuple[Running, float]:
        """Kill it, start the next one; returns the seconds from its start until it looks after every stage again."""
        time.sleep(after)
        node.kill()
        began = time.monotonic()
        successor = self.start()
        self.place.until(lambda: successor.said.count('"container_adopted"') >= self.stages, "all stages adopted")
        return successor, time.monotonic() - began

    def end(self) -> Tally:
        """Tell the stages to end, wait until they have, and count."""
        for name in self.names:
            (self.place.root / f"share/projects/{name}/input/enough").touch()
        self.place.until(self._is_over, "all stages have ended and their outputs are there")
        return self._tally()

    def _is_over(self) -> bool:
        histories = [self.place.ledger().history(name) for name in self.names]
        return all(len(h.runs) == 1 and h.runs[0].is_final and h.runs[0].output_published for h in histories)

    def _tally(self) -> Tally:
        lost = doubled = lines = lines_lost = lines_doubled = 0
        for name in self.names:
            (run,) = self.place.ledger().history(name).runs
            directory = self.place.root / f"share/projects/{name}"
            starts = (directory / "runs/0001-talk/1/workspace/starts").read_text().count("started")
            kinds = [type(record) for record in run.records]
            lost += kinds[-1] is not Done
            doubled += starts != 1 or kinds.count(Claim) != 1
            said = int((directory / "output/0001-talk/said").read_text())
            logged = (directory / "runs/0001-talk/1/log.jsonl").read_text().splitlines()
            texts = [json.loads(line)["l"] for line in logged]
            wanted = [f"line {n}" for n in range(1, said + 1)]
            lines += said
            lines_lost += len(set(wanted) - set(texts))
            lines_doubled += len(texts) - len(set(texts))
            assert sorted(texts) != sorted(wanted) or texts == wanted, f"the lines of {name} are out of order"
        return Tally(lost, doubled, lines_lost, lines_doubled, lines)
