"""What an idle node with 100 finished projects costs. Goal: under 2 % of one core."""

import time

import psutil
from _place import site

PROJECTS = 100
SECONDS = 30


def main() -> None:
    with site(poll="15s") as place:
        place.write(
            "pipelines/rest.yaml",
            "name: Rest\nstages:\n  - {name: rest, image: 'none:1', command: ['true'], requires: {labels: {a: b}}}\n",
        )
        for n in range(PROJECTS):
            paused = "true" if n % 2 else "false"
            place.write(f"projects/p{n:03d}.yaml", f"name: P{n}\npipeline: rest\npaused: {paused}\n")
        place.push()
        with place.node() as node:
            place.until(lambda: len(place.share.read().projects) == PROJECTS, 60)
            time.sleep(10)  # until the last publication is out
            process = psutil.Process(node.pid)
            before, start = process.cpu_times(), time.monotonic()
            time.sleep(SECONDS)
            after, seconds = process.cpu_times(), time.monotonic() - start
            used = sum(after[:4]) - sum(before[:4])
            print(f"idle with {PROJECTS} projects: {100 * used / seconds:.2f} % of one core (goal: under 2 %)")
            print(f"memory {process.memory_info().rss / 2**20:.0f} MiB, threads {process.num_threads()}")


if __name__ == "__main__":
    main()
