"""Which image a run is bound to, which are pulled ahead of their time, and which may be removed: decided purely."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.actions import CreateRun, PrepareImage, PublishRun, ResolveImage
from reconciler.core.desired import Pins, Pull, Requires
from reconciler.core.draft import Plan, WantedImage
from reconciler.core.image_names import PullProgress, familiar, image_mark, registry, repository
from reconciler.core.plan import plan
from reconciler.core.stored_images import LocalImage, PulledImage, present, removable, wanted_images
from tests.fakes.build import (
    CROSSING,
    EXACT,
    NOW,
    a_claim,
    a_desired,
    a_key,
    a_ledger,
    a_next,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_stage,
    me,
    released,
)

ASKED = WantedImage("image:1", Pull.MISSING)


def planned(project: Any = None, stage: Any = None, **mine: Any) -> Plan:
    desired = a_desired(project or a_project(), pipeline=a_pipeline(stage or a_stage()))
    return plan(desired, a_ledger(), (a_node("a"),), me(**mine))


def created(todo: Plan) -> CreateRun:
    (action,) = todo.actions
    assert isinstance(action, CreateRun)
    return action


# --- binding a run to an image ---


def test_who_creates_a_run_asks_first_which_image_it_is() -> None:
    todo = planned(images={})
    (action,) = todo.actions
    assert action == ResolveImage(project=CROSSING, image="image:1", pull=Pull.MISSING, because="ImageUnresolved")
    assert todo.waiting[CROSSING].because == "ResolvingImage"


def test_the_answer_stands_in_the_run() -> None:
    assert created(planned(images={ASKED: EXACT})).record.image_digest == EXACT


def test_an_image_that_nobody_has_makes_a_run_that_fails_and_says_so() -> None:
    assert created(planned(images={ASKED: None})).record.image_digest is None


def test_a_silent_registry_creates_nothing_and_is_told() -> None:
    todo = planned(images={}, unresolved={ASKED: "registry x does not answer"})
    assert [type(action) for action in todo.actions] == [ResolveImage]
    assert (todo.waiting[CROSSING].because, todo.waiting[CROSSING].message) == (
        "RegistryUnavailable",
        "registry x does not answer",
    )


def test_a_silent_registry_holds_nothing_for_its_run() -> None:
    """Else a registry that is away would keep a node from everything less important."""
    pipelines = {one.id: one for one in (a_pipeline(a_stage(image="lost:1")), a_pipeline(a_stage(), id="other"))}
    desired = replace(a_desired(a_project(priority=9), a_project("ulm", pipeline="other")), pipelines=pipelines)
    ledger = replace(a_ledger(), projects={name: a_ledger().projects[CROSSING] for name in desired.projects})
    small = (a_node("a", cpus=1.0),)
    unresolved = {WantedImage("lost:1", Pull.MISSING): "away"}
    kinds = [type(one) for one in plan(desired, ledger, small, me(unresolved=unresolved)).actions]
    assert kinds == [ResolveImage, CreateRun]


def tried_again(image_digest: str | None = EXACT, pull: Pull = Pull.MISSING, **mine: Any) -> list[type]:
    before = (a_claim(1, "a"), released(2, "a", reason="Drained", counts=False))
    run = a_run(1, "detect", *before, image="image:1", image_digest=image_digest, pull=pull)
    mine = {"unresolved": {WantedImage("image:1", pull): "registry x does not answer"}, **mine}
    return [type(action) for action in plan(a_desired(), a_ledger(run), (a_node("a"),), me(**mine)).actions]


def test_a_silent_registry_keeps_a_run_from_being_claimed_again() -> None:
    """A claim that can't begin would hold GPUs, and keep the run from a node that has the image."""
    assert tried_again(unresolved={}) == [PublishRun]
    assert tried_again() == [ResolveImage]
    assert tried_again(present_images=frozenset({"image:1"})) == [ResolveImage], "a tag may be another image by now"


def test_a_silent_registry_is_no_matter_where_the_runs_image_is() -> None:
    assert tried_again(present_images=frozenset({EXACT})) == [PublishRun]
    assert tried_again(None, present_images=frozenset({"image:1"})) == [PublishRun]
    assert tried_again(None, Pull.ALWAYS, present_images=frozenset({"image:1"})) == [ResolveImage]


def test_one_question_serves_all_projects_that_wait_for_it() -> None:
    desired = a_desired(a_project(), a_project("ulm"), pipeline=a_pipeline(a_stage()))
    ledger = replace(a_ledger(), projects={name: a_ledger().projects[CROSSING] for name in desired.projects})
    assert len(plan(desired, ledger, (a_node("a"),), me(images={})).actions) == 1


@pytest.mark.parametrize(("pull", "kinds"), [(Pull.ALWAYS, [CreateRun, ResolveImage]), (Pull.MISSING, [CreateRun] * 2)])
def test_always_asks_for_each_run(pull: Pull, kinds: list[type]) -> None:
    """One answer must not serve a second run, which may be due long after the question."""
    desired = a_desired(a_project(), a_project("ulm"), pipeline=a_pipeline(a_stage(pull=pull)))
    ledger = replace(a_ledger(), projects={name: a_ledger().projects[CROSSING] for name in desired.projects})
    todo = plan(desired, ledger, (a_node("a"),), me(images={WantedImage("image:1", pull): EXACT}))
    assert [type(action) for action in todo.actions] == kinds


@pytest.mark.parametrize("image", [EXACT, "sha256:" + "2" * 64])
def test_a_pinned_image_needs_no_answer(image: str) -> None:
    project = a_project(next=a_next("detect", pins=Pins(image=image)))
    ledger = a_ledger(seen=None)
    desired = a_desired(project, pipeline=a_pipeline(a_stage()))
    first = plan(desired, ledger, (a_node("a"),), me(images={}))
    assert not any(isinstance(action, ResolveImage) for action in first.actions)
    (made,) = [action for action in first.actions if isinstance(action, CreateRun)]
    assert made.record.image_digest == image


def test_plain_processes_need_no_image() -> None:
    desired = a_desired(pipeline=a_pipeline(a_stage()))
    todo = plan(desired, a_ledger(), (a_node("a", runtime="process"),), me(runtime="process", images={}))
    assert created(todo).record.image_digest is None


def test_a_claim_that_pulls_says_so_but_not_how_far_it_is() -> None:
    """The message goes to git; what changes all the time must not."""
    run = a_run(1, "detect", a_claim(1, "a"))
    key = a_key(run)
    mine = me(starting=frozenset({key}), pulling={key: "image:1"})
    told = plan(a_desired(), a_ledger(run), (a_node("a"),), mine).waiting[CROSSING]
    assert (told.because, told.message) == ("PullingImage", "run 1 (detect) on a: pulling image:1")


# --- names ---


@pytest.mark.parametrize(
    ("image", "name", "of", "host"),
    [
        ("busybox", "busybox:latest", "busybox", "docker.io"),
        ("docker.io/library/busybox:1", "busybox:1", "busybox", "docker.io"),
        ("docker.io/ada/traffic", "ada/traffic:latest", "ada/traffic", "docker.io"),
        ("ada/traffic:1.4", "ada/traffic:1.4", "ada/traffic", "docker.io"),
        (
            "registry.example:5000/x",
            "registry.example:5000/x:latest",
            "registry.example:5000/x",
            "registry.example:5000",
        ),
        ("localhost/x:2", "localhost/x:2", "localhost/x", "localhost"),
        ("r.example/x:2@sha256:12", "r.example/x@sha256:12", "r.example/x", "r.example"),
    ],
)
def test_names_are_understood_as_the_engine_does(image: str, name: str, of: str, host: str) -> None:
    assert (familiar(image), repository(image), registry(image)) == (name, of, host)


def test_a_mark_is_the_same_for_each_spelling() -> None:
    assert image_mark("busybox") == image_mark("docker.io/library/busybox:latest") != image_mark("busybox:1")
    assert len(image_mark("busybox")) == 8


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (PullProgress(), ""),
        (PullProgress(3 << 20, 0), "3.0 MiB"),
        (PullProgress(430, 1000), "43 % of 0.0 MiB"),
        (PullProgress(3 << 30, 8 << 30), "37 % of 8.0 GiB"),
    ],
)
def test_how_far_a_pull_is_is_said_in_percent_only_of_a_known_size(progress: PullProgress, said: str) -> None:
    assert str(progress) == said


# --- ahead of its time ---

FOLLOWING = a_pipeline(a_stage("detect"), a_stage("track", image="track:1"))
RUNNING = replace(a_run(1, "detect", a_claim(1, "a")), started_at=NOW)


def prepared(name: str = "a", nodes: tuple[str, ...] = ("a", "b", "c"), stage: Any = None, **mine: Any) -> list[str]:
    pipeline = a_pipeline(a_stage("detect"), stage) if stage else FOLLOWING
    found = tuple(a_node(node) for node in nodes)
    todo = plan(a_desired(pipeline=pipeline), a_ledger(RUNNING), found, me(name, **{"may_prepare": True, **mine}))
    return [action.image for action in todo.actions if isinstance(action, PrepareImage)]


def test_the_node_that_runs_a_stage_pulls_the_next_ones_image() -> None:
    assert prepared() == ["track:1"]


def test_two_more_nodes_at_most_pull_it_too() -> None:
    ready = [name for name in ("b", "c", "d", "e") if prepared(name, ("a", "b", "c", "d", "e"))]
    assert 1 <= len(ready) <= 2


@pytest.mark.parametrize(
    "mine",
    [
        {"may_prepare": False},
        {"present_images": frozenset({"track:1"})},
        {"unprepared": frozenset({"track:1"})},
        {"runtime": "process"},
    ],
)
def test_nothing_is_pulled_ahead_that_is_here_failed_or_has_no_room(mine: dict[str, Any]) -> None:
    assert prepared(**mine) == []


def test_what_is_never_pulled_is_not_pulled_ahead() -> None:
    assert prepared(stage=a_stage("track", image="track:1", pull=Pull.NEVER)) == []


def test_a_node_that_could_never_run_the_stage_pulls_nothing() -> None:
    assert prepared(stage=a_stage("track", image="track:1", requires=Requires(cpus=64.0))) == []


# --- what may go ---

LONG_AGO = NOW - timedelta(days=3)


def an_image(name: str, **fields: Any) -> LocalImage:
    return LocalImage(id=f"id-{name}", names=frozenset({f"{name}:1", f"{name}@sha256:{name}"}), **fields)


def pulled(*images: LocalImage, **at: Any) -> dict[str, PulledImage]:
    return {one.id: PulledImage(names=one.tags, used_at=at.get(one.id[3:], LONG_AGO)) for one in images}


def may_go(*here: LocalImage, known: dict[str, PulledImage] | None = None, wanted: tuple[str, ...] = ()) -> list[str]:
    found = removable(here, pulled(*here) if known is None else known, frozenset(wanted), NOW)
    return [image.id for image in found]


def test_the_least_recently_used_goes_first() -> None:
    old, older = an_image("old"), an_image("older")
    known = pulled(old, older, older=LONG_AGO - timedelta(days=1))
    assert may_go(old, older, known=known) == ["id-older", "id-old"]


def test_what_winslow_did_not_pull_stays() -> None:
    assert may_go(an_image("theirs"), known={}) == []


def test_what_somebody_gave_a_name_of_their_own_stays() -> None:
    named = LocalImage(id="id-x", names=frozenset({"x:1", "mine:keep"}))
    assert may_go(named, known={"id-x": PulledImage(names=frozenset({"x:1"}), used_at=LONG_AGO)}) == []


def test_what_a_container_uses_stays() -> None:
    assert may_go(an_image("x", is_used=True)) == []


@pytest.mark.parametrize("wanted", ["x:1", "docker.io/library/x:1", "x@sha256:x", "sha256:1"])
def test_what_a_project_may_want_stays(wanted: str) -> None:
    image = LocalImage(id="sha256:1", names=an_image("x").names)
    assert may_go(image, known={image.id: PulledImage(names=image.tags, used_at=LONG_AGO)}, wanted=(wanted,)) == []


def test_what_was_used_within_the_hour_stays() -> None:
    image = an_image("x")
    assert may_go(image, known=pulled(image, x=NOW - timedelta(minutes=59))) == []
    assert may_go(image, known=pulled(image, x=NOW - timedelta(minutes=61))) == ["id-x"]


def test_unfinished_projects_want_their_stages_and_their_runs_image() -> None:
    run = a_run(1, "detect", a_claim(1, "a"), image="before:1", image_digest="before@sha256:1")
    wanted = wanted_images(a_desired(pipeline=FOLLOWING), a_ledger(run))
    assert wanted == {"image:1", "track:1", "before:1", "before@sha256:1"}


def test_finished_projects_want_nothing() -> None:
    assert wanted_images(a_desired(pipeline=FOLLOWING), a_ledger(a_run(1, "track", is_last=True))) == frozenset()


def test_a_request_wants_its_pinned_image() -> None:
    project = a_project(next=a_next("detect", pins=Pins(image=EXACT)))
    assert EXACT in wanted_images(a_desired(project), a_ledger())


def test_what_is_present_is_found_under_each_spelling() -> None:
    assert present([an_image("x")], {"docker.io/library/x:1", "y:1"}) == {"docker.io/library/x:1"}
