"""How many simulated histories of five nodes and twenty runs does a core live through in a second? Goal: 20.

``--profile`` shows where the time goes. Seconds are those of the processor, so that a busy machine does not count.
"""

import argparse
import cProfile
import statistics
import time

from tests.simulation.history import live
from tests.simulation.setting import large

GOAL = 20.0


def measure(count: int) -> list[float]:
    """Seconds of each history; the first one only warms up."""
    live(large(0))
    found = []
    for seed in range(1, count + 1):
        began = time.process_time()
        live(large(seed))
        found.append(time.process_time() - began)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=20)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    if asked.profile:
        cProfile.runctx("measure(3)", globals(), {}, sort="tottime")
        return
    seconds = measure(asked.histories)
    rate = len(seconds) / sum(seconds)
    print(
        f"histories: {len(seconds)}, {rate:.2f} a second a core (goal {GOAL:.0f}); "
        f"median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s"
    )


if __name__ == "__main__":
    main()
