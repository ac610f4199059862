"""What a node makes of its images: which it removes when its disk fills up, and what it says of pulls that fail."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.docker.images import DockerImages
from reconciler.agent.images import FRESH, UNPREPARED, UNSEEN, NodeImages
from reconciler.config import DockerConfig, NodeConfig
from reconciler.core.desired import Pull
from reconciler.core.draft import Me, WantedImage
from reconciler.core.image_names import image_mark
from reconciler.core.names import NodeName
from reconciler.errors import RegistryUnavailable, StartFailed
from tests.fakes.build import me
from tests.fakes.images import FakeImages
from tests.images.registry import Bench, Registry

WANTED = WantedImage("image:1", Pull.MISSING)
AWAY = RegistryUnavailable("registry x does not answer", after=30.0)


class SetClock:
    """Goes on when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def a_node_with(images: Any, clock: SetClock, local: Path, *, keep_below: int = 85) -> NodeImages:
    config = NodeConfig(
        name=NodeName("a"), state_url="x", share=local, local=local, docker=DockerConfig(keep_below=keep_below)
    )
    nobody: Any = None  # no claim is pulled for here
    return NodeImages(images, nobody, clock, config)


def seen(node: NodeImages, clock: SetClock) -> Me:
    return node.shown_to(me(monotonic=clock.monotonic()))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def test_an_answer_serves_the_run_it_was_asked_for(clock: SetClock, tmp_path: Path) -> None:
    node = a_node_with(FakeImages(), clock, tmp_path)
    node.resolve("image:1", Pull.MISSING)
    assert seen(node, clock).images == {WANTED: "image@sha256:fake"}
    node.forget(WANTED)
    assert seen(node, clock).images == {}


def test_an_answer_waits_for_its_plan_however_slow_the_share_is(clock: SetClock, tmp_path: Path) -> None:
    """Else a node whose looks are minutes apart would ask for ever and create nothing."""
    node = a_node_with(FakeImages(), clock, tmp_path)
    node.resolve("image:1", Pull.MISSING)
    clock.seconds += 5 * FRESH
    assert seen(node, clock).images == {WANTED: "image@sha256:fake"}
    assert seen(node, clock).images == {}, "a plan saw it and made no use of it"


def test_an_answer_grows_old(clock: SetClock, tmp_path: Path) -> None:
    node = a_node_with(FakeImages(), clock, tmp_path)
    node.resolve("image:1", Pull.MISSING)
    assert seen(node, clock).images == seen(node, clock).images != {}
    clock.seconds += FRESH
    assert seen(node, clock).images == {}
    node.resolve("image:1", Pull.MISSING)
    clock.seconds += UNSEEN
    assert seen(node, clock).images == {}


def test_a_no_is_an_answer_and_silence_is_none(clock: SetClock, tmp_path: Path) -> None:
    images = FakeImages(known=[])
    node = a_node_with(images, clock, tmp_path)
    node.resolve("image:1", Pull.MISSING)
    assert seen(node, clock).images == {WANTED: None}
    node.forget(WANTED)
    images.known, images.fault, images.absent = None, AWAY, {"image:1"}
    with pytest.raises(RegistryUnavailable):
        node.resolve("image:1", Pull.MISSING)
    assert (seen(node, clock).images, seen(node, clock).unresolved) == ({}, {WANTED: str(AWAY)})
    images.fault = None
    node.resolve("image:1", Pull.MISSING)
    assert seen(node, clock).unresolved == {}


@pytest.mark.parametrize("fault", [AWAY, StartFailed("ImageNotFound", "nowhere")])
def test_a_pull_ahead_that_fails_is_no_fault_and_rests(clock: SetClock, tmp_path: Path, fault: Any) -> None:
    node = a_node_with(FakeImages(fault=fault, absent={"image:1"}), clock, tmp_path)
    node.prepare("image:1")
    assert seen(node, clock).unprepared == {"image:1"}
    assert seen(node, clock).may_prepare
    clock.seconds += UNPREPARED
    assert seen(node, clock).unprepared == frozenset()


def test_a_disk_above_the_threshold_takes_no_image_ahead_of_its_time(clock: SetClock, tmp_path: Path) -> None:
    images = FakeImages(disk=90.0)
    node = a_node_with(images, clock, tmp_path)
    node.look(frozenset())
    assert not seen(node, clock).may_prepare
    images.disk = 80.0
    node.look(frozenset())
    assert seen(node, clock).may_prepare


def test_a_full_disk_with_nothing_to_remove_is_told_in_words_that_stay(clock: SetClock, tmp_path: Path) -> None:
    images = FakeImages(disk=96.0)
    node = a_node_with(images, clock, tmp_path)
    node.look(frozenset())
    (told,) = node.conditions
    images.disk = 99.0
    node.look(frozenset())
    assert node.conditions == (told,)
    assert told.type == "DiskFull"
    images.disk = 90.0
    node.look(frozenset())
    assert not node.conditions


def test_an_engine_elsewhere_has_no_disk_to_keep(clock: SetClock, tmp_path: Path) -> None:
    node = a_node_with(FakeImages(disk=None), clock, tmp_path, keep_below=1)
    node.look(frozenset())
    assert node.conditions == ()
    assert seen(node, clock).may_prepare


def test_what_is_here_is_marked_for_others(clock: SetClock, tmp_path: Path) -> None:
    node = a_node_with(FakeImages(absent={"image:1"}), clock, tmp_path)
    node.prepare("image:1")
    assert node.marks == {image_mark("image:1"), image_mark("image@sha256:fake")}


@pytest.mark.parametrize("content", ["", "[1]", '{"x": 5}', '{"x": {"names": 1, "used_at": "noon"}}', "\x00"])
def test_a_torn_list_of_pulled_images_is_an_empty_one(clock: SetClock, tmp_path: Path, content: str) -> None:
    """Whatever is in doubt stays."""
    (tmp_path / "images.json").write_text(content)
    a_node_with(FakeImages(disk=99.0), clock, tmp_path).look(frozenset())


def test_a_real_engine_loses_what_winslow_pulled_and_nobody_needs(
    images: DockerImages, bench: Bench, registry: Registry, clock: SetClock, tmp_path: Path
) -> None:
    """Two hours later, through a restart of the reconciler, with a threshold that any disk exceeds."""
    unneeded, wanted, theirs = (bench.name(registry.host) for _ in range(3))
    for name in (unneeded, wanted, theirs):
        bench.publish(name)
    bench.engine.images.pull(theirs)
    node = a_node_with(images, clock, tmp_path, keep_below=1)
    for name in (unneeded, wanted, theirs):
        node.prepare(name)
    node.look(frozenset({wanted}))
    assert bench.has(unneeded)
    clock.seconds += 7200
    a_node_with(images, clock, tmp_path, keep_below=100).look(frozenset({wanted}))
    assert bench.has(unneeded)
    after = a_node_with(images, clock, tmp_path, keep_below=1)
    after.look(frozenset({wanted}))
    assert [bench.has(name) for name in (unneeded, wanted, theirs)] == [False, True, True]
    assert seen(after, clock).present_images == {wanted}
    after.look(frozenset({wanted}))
    assert len(json.loads((tmp_path / "images.json").read_text())) == 1
