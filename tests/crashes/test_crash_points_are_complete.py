"""The table of points is compared with what a node really does, so that a new boundary can't go without its point."""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase

import docker

from tests.crashes import points
from tests.crashes.dying import Point
from tests.crashes.place import Place

MakePlace = Callable[..., Place]

CHANGES = re.compile(
    r"(child: )?(write|pwrite|fsync|link|rename|mkdir|remove|rmdir|symlink|truncate|run|request (POST|DELETE|PUT)) "
)
"""What changes something outside the process. After a mere look a crash is a crash before the next change."""

NEEDS_NONE = {
    "write local/lock": "an empty file that is there for its lock",
    "write share/locks/retired": "the same",
    "mkdir local*": "an empty directory that is made again or found",
    "mkdir share/resources": "the same",
    "mkdir share/retired": "the same",
    "mkdir share/nodes/alpha*": "the same",
    "mkdir share/projects/*": "the same",
    "write local/home.part": "a draft, written anew by the next start; its rename is a point",
    "write local/state.git/winslow.gitconfig": "written anew by every start",
    "write share/tmp/*": "a draft that nobody reads; its fsync, link and rename are points",
    "remove share/tmp/*": "a draft whose link is decided: 'linked, not read back' is right before",
    "write share/projects/*/workspace.partial/*": "its fsync is a point",
    "write share/nodes/alpha/heartbeat.*": "an empty file; its first pwrite is a point",
    "write local/process/*": "a draft; its link and rename are points",
    "fsync local/process/*": "the same",
    "fsync local/process": "the same",
    "child: write local/process/*": "the same",
    "child: fsync local/process/*": "the same",
    "remove local/process/*.json.*": "the draft of a state that is in place",
    "write /dev/null": "nothing",
    "write share/nodes/alpha/metrics/*": "measurements: nothing rests on them; a torn row is told by its checksum",
    "pwrite share/nodes/alpha/metrics/*": "the same",
    "write share/projects/*/stats.rings": "the same",
    "pwrite share/projects/*/stats.rings": "the same",
    "mkdir /sys/fs/cgroup/*": "a stage's control group: its state names it already, so it is made again or removed",
    "write /sys/fs/cgroup/*": "a limit: set before its program runs, and again by the next start",
    "child: write /sys/fs/cgroup/*": "a program entering its group: not noted yet, and it dies with its supervisor",
    "rmdir /sys/fs/cgroup/*": "a group that is empty; its state is still there",
}
LOOKING = ("ls-remote", "for-each-ref", "ls-tree", "cat-file", "log", "merge-base", "config --local --get", "rev-parse")
"""Commands of git that change nothing."""


def unnamed(lines: str, some: tuple[Point, ...]) -> list[str]:
    """Changes without a point, of a node's life as it told it."""
    changes = [line for line in lines.splitlines() if CHANGES.match(line)]
    return sorted({general(line) for line in changes if not is_named(line, some)})


def is_named(line: str, some: tuple[Point, ...]) -> bool:
    if line.startswith("run git"):
        forms = {line, line.replace("run", "started", 1)}
        looks = any(f" {command} " in f"{line} " for command in LOOKING)
    else:
        forms = {line, other_run(line)}
        looks = any(fnmatchcase(line, pattern) for pattern in NEEDS_NONE)
    return looks or any(fnmatchcase(form, point.pattern) for point in some for form in forms)


def other_run(line: str) -> str:
    """The same boundary in the project's other run: a point at either counts for both."""
    other = {"0001-first": "0002-second", "0002-second": "0001-first"}
    return re.sub("0001-first|0002-second", lambda found: other[found[0]], line)


def general(line: str) -> str:
    return re.sub(r"[0-9a-f]{8}\.[0-9a-f]{16}|[0-9a-f]{32,}", "*", line)


def life(place: Place, *, in_supervisor: bool = False) -> str:
    """What a node does from its first start to the removal of its only project."""
    node = place.start(telling=True, in_supervisor=in_supervisor)
    place.until(lambda: place.succeeded(2), "the project is over")
    place.until(lambda: not place.open_runtime().list(), "every container is forgotten")
    place.commit({"projects/ulm.yaml": None})
    place.until(lambda: place.history().retired is not None and not place.ledger().remains, "the project is purged")
    node.end()
    return node.died_at


def test_every_change_that_a_node_makes_has_its_point(make_place: MakePlace) -> None:
    told = life(make_place())
    assert unnamed(told, points.LIFE + points.PRUNING + points.IN_SUPERVISOR) == []


def test_every_change_that_a_node_with_containers_makes_has_its_point(
    make_place: MakePlace, engine: docker.DockerClient
) -> None:
    told = life(make_place(runtime="docker"))
    assert unnamed(told, points.LIFE + points.PRUNING + points.DOCKER) == []


def test_every_change_that_a_supervisor_makes_has_its_point(make_place: MakePlace) -> None:
    told = life(make_place(), in_supervisor=True)
    assert unnamed(told, points.IN_SUPERVISOR) == []


def test_a_change_without_a_point_is_noticed() -> None:
    told = "rename share/tmp/a share/b\nread share/c\nrun git --git-dir=x push y\nlink share/tmp/a share/projects/c"
    assert unnamed(told, (Point("pushing", "started git * push *"),)) == [
        "link share/tmp/a share/projects/c",
        "rename share/tmp/a share/b",
    ]
