"""A hundred ``kill -9`` of the reconciler during 20 stages. Goals: no stage and no log line lost or doubled; adoption
within 3 s of the restart, Python's own start included."""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.crashes.killing import Siege
from tests.crashes.place import Place

STAGES, KILLS = 20, 100
SEED = 9


@dataclass
class Command:
    """``winslow node`` as systemd would start it."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Commands:
    """Starts nodes of a place, one after the other; a command line of its own each, as after a crash."""

    place: Place
    started: list[Command] = field(default_factory=list)

    def start(self) -> Command:
        log = self.place.root / f"log.{len(self.started)}"
        command = [sys.executable, "-m", "reconciler.cli.main", "--config", str(self.place.config), "node"]
        with log.open("wb") as file:
            self.started.append(Command(subprocess.Popen(command, stdout=file, stderr=file), log))
        return self.started[-1]


def bare() -> float:
    """Seconds in which Python starts and imports what a node needs: part of every restart."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import reconciler.compose, reconciler.cli.node"], check=True)
    return time.monotonic() - began


def main() -> None:
    random.seed(SEED)
    with tempfile.TemporaryDirectory(prefix="winslow-bench-") as root:
        place = Place(Path(root))
        place.make()
        commands = Commands(place)
        siege = Siege(place, STAGES, commands.start)
        try:
            node, seconds, floors = siege.begin(pause=0.25), [], []
            for n in range(KILLS):
                if n % 10 == 0:
                    floors.append(bare())
                node, adopted = siege.kill(node, after=random.uniform(0.0, 1.0))  # noqa: S311
                seconds.append(adopted)
                print(f"kill {n + 1:3}: all {STAGES} adopted after {adopted:.2f} s", flush=True)
            tally = siege.end()
        finally:
            for one in commands.started:
                one.kill()
            place.end()
    print(f"Python's start: median {statistics.median(floors):.2f} s, worst {max(floors):.2f} s")
    print(f"adopted after: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s (goal: within 3 s)")
    print(f"{KILLS} kills, {STAGES} stages, {tally.lines} lines: {tally} (goal: nothing lost, nothing doubled)")


if __name__ == "__main__":
    main()
