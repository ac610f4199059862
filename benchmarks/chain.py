"""20 trivial stages in a chain, against the bare SDK's create, start, wait, remove of the same 20 containers.

Goal: at most 1.3 times the bare loop.
"""

import secrets
import statistics
import time

import docker
from _place import IMAGE, Site, build_image, site

from reconciler.adapters.docker.creation import creation
from reconciler.config import DockerConfig
from reconciler.core.containers import ClaimKey, Order, Paths
from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, ShareId, StageName, Token

STAGES = 20
ROUNDS = 3
GOAL = 1.3


def bare(place: Site) -> float:
    """The same containers, mounts, limits and hardening included, by nothing but the SDK."""
    folders = {name: place.root / "bare" / name for name in ("claim", "workspace", "output", "input", "resources")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    paths = Paths(**{name: str(folder) for name, folder in folders.items()})
    client = docker.from_env()
    start = time.monotonic()
    for number in range(1, STAGES + 1):
        asked = creation(client.api, same_order(number, paths), DockerConfig(), image=IMAGE, boot="bench")
        container = client.api.create_container(**asked)["Id"]
        client.api.start(container)
        client.api.wait(container)
        client.api.remove_container(container)
    seconds = time.monotonic() - start
    client.close()
    return seconds


def same_order(number: int, paths: Paths) -> Order:
    key = ClaimKey(
        share=ShareId("bench"),
        project=ProjectName("bare"),
        run=RunNumber(number),
        stage=StageName("s"),
        number=RecordNumber(1),
        token=Token(secrets.token_hex(16)),
    )
    return Order(
        key=key, node=NodeName("bench"), image=IMAGE, command=("/bin/true",), environment={}, paths=paths, cpus=0.1
    )


def chained(place: Site, name: str) -> float:
    """Seconds from the first RUN record to the last DONE record, by one clock: this process's, watching the share."""
    place.write(f"projects/{name}.yaml", f"name: {name}\npipeline: chain\n")
    place.push()
    first: list[float] = []

    def finished() -> bool:
        history = place.share.read().history(name)  # type: ignore[arg-type]
        if history.runs and not first:
            first.append(time.monotonic())
        return len(history.runs) == STAGES and history.runs[-1].is_final

    place.until(finished, 120)
    return time.monotonic() - first[0]


def main() -> None:
    build_image()
    ratios = []
    with site() as place:
        stages = "".join(
            f"  - name: s{n:02d}\n    image: {IMAGE}\n    command: [/bin/true]\n    requires: {{cpus: 0.1}}\n"
            for n in range(STAGES)
        )
        place.write("pipelines/chain.yaml", f"name: Chain\nstages:\n{stages}")
        place.write("projects/README.md", "")
        place.push()
        with place.node():
            for n in range(ROUNDS):
                floor, ours = bare(place), chained(place, f"round-{n}")
                ratios.append(ours / floor)
                print(f"bare {floor:6.2f} s   winslow {ours:6.2f} s   ratio {ours / floor:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
