"""What ``winslow reproduce`` pins brings back exactly what is recorded, whatever the levels say by now."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.codec.yaml import compose
from reconciler.core.desired import Environment, EnvironmentValue, Network, Next, Pins, Requires, Secret, Workspace
from reconciler.core.entries import run_entry
from reconciler.core.environment import Setting, merge
from reconciler.core.ledger import Run
from reconciler.core.names import RunNumber, StageName
from reconciler.core.records import GpuUsed, InputFile
from reconciler.core.reproduce import Now, pinned_environment, recorded_environment, repetition
from reconciler.core.requests import canonical, line_of
from reconciler.core.status import RunStatus
from tests.fakes.build import CROSSING, a_base, a_claim, a_run, a_stage, done

TIMES = 500
NAMES = ("THRESHOLD", "FRAME_STEP", "LICENCE", "CAMERA", "EMPTY")
VALUES: tuple[EnvironmentValue, ...] = ("0.45", "", "null", "'quoted'", Secret("tracker"), Secret("other"), None)
MODIFIED = datetime(2026, 11, 1, tzinfo=UTC)


def some_levels(chance: random.Random) -> list[tuple[str, Environment]]:
    names = ("winslow.yaml", "pipelines/flow.yaml", "projects/crossing.yaml")
    return [(name, {one: chance.choice(VALUES) for one in NAMES if chance.random() < 0.5}) for name in names]


def values(merged: dict[str, Setting]) -> dict[str, object]:
    return {name: setting.value for name, setting in merged.items()}


def test_the_pins_over_todays_levels_are_what_was_recorded() -> None:
    """Set, unset, empty and secret variables alike, through the record, the status and the request's own YAML."""
    chance = random.Random(7)  # noqa: S311  # levels, not secrets
    for _ in range(TIMES):
        then, now = merge(some_levels(chance)), some_levels(chance)
        told = run_entry(CROSSING, a_run(environment=then))
        recorded, nameless = recorded_environment(told)
        pins = pinned_environment(recorded, merge(now))
        assert values(merge([*now, ("next", pins)])) == values(then)
        assert not nameless


def test_nothing_is_pinned_that_is_so_anyway() -> None:
    levels: list[tuple[str, Environment]] = [("winslow.yaml", {"A": "1", "B": Secret("tracker")})]
    assert pinned_environment({"A": "1", "B": Secret("tracker")}, merge(levels)) == {}


def test_an_older_status_without_secrets_names_pins_none_and_says_so() -> None:
    then = {"LICENCE": Setting(Secret("tracker"), "winslow.yaml"), "A": Setting("1", "winslow.yaml")}
    told = replace(run_entry(CROSSING, a_run(environment=then)), secrets={}, sources={})
    again = repetition(told, now(environment={"LICENCE": Setting(Secret("new"), "winslow.yaml")}))
    assert again.environment == {"A": "1"}
    assert said(again.remarks, "older Winslow", "LICENCE")


def now(**fields: Any) -> Now:
    stage = fields.pop("stage", a_stage("detect"))
    defaults: dict[str, Any] = {
        "stage": stage,
        "then": stage,
        "requires": Requires(),
        "then_requires": Requires(),
        "environment": {},
        "files": (),
    }
    return Now(**{**defaults, **fields})


def told(*, created: dict[str, Any] | None = None, **outcome: Any) -> RunStatus:
    run: Run = a_run(3, "detect", a_claim(), done(**{"image_digest": "image@sha256:1", **outcome}), **(created or {}))
    return run_entry(CROSSING, run)


def said(remarks: tuple[str, ...], *words: str) -> bool:
    return any(all(word in remark for word in words) for remark in remarks)


def test_the_digest_the_commands_and_the_base_are_pinned() -> None:
    again = repetition(told(created={"base": a_base(1, "look")}), now(base=RunNumber(7)))
    assert again.pins == Pins(image="image@sha256:1", command=("run",), process_command=("run",))
    assert again.base == 1
    assert again.remarks == ()


FILE = InputFile(path="resources/a.mp4", size=6, modified=MODIFIED, sha256="a" * 64)

LINK = replace(FILE, sha256="", unread=True)


@pytest.mark.parametrize(
    ("run", "at", "words"),
    [
        (told(image_digest="sha256:1"), now(), ("engine's own id", "it ran on a")),
        (told(image_digest=None), now(), ("no image digest is recorded",)),
        (told(reused=1), now(), ("took the files of run 1",)),
        (told(gpus=(GpuUsed(uuid="GPU-1", model="A100", driver="535"),)), now(), ("A100", "535", "no node has")),
        (told(), now(then=None), ("can't be read here",)),
        (told(), now(then=a_stage("detect", network=Network.BRIDGE)), ("network changed since",)),
        (told(), now(then_requires=Requires(cpus=2.0)), ("requires changed since",)),
        (told(), now(base=RunNumber(2)), ("init/", "run 2")),
        (told(created={"inputs": ("resources/a.mp4",)}), now(), ("other inputs", "[resources/a.mp4]")),
        (told(inputs=(FILE,)), now(files=None), ("nobody compared", "--config")),
        (told(inputs=(FILE,)), now(), ("gone since", "resources/a.mp4")),
        (told(inputs=(FILE,)), now(files=(replace(FILE, sha256="b" * 64),)), ("other content", "resources/a.mp4")),
        (told(inputs=(replace(FILE, changed=True),)), now(files=(FILE,)), ("changed while the run read",)),
        (told(inputs=(LINK,)), now(files=(LINK,)), ("not read, hence not compared", "resources/a.mp4")),
        (told(inputs=(FILE,)), now(files=(FILE, replace(FILE, path="resources/b.mp4"))), ("not there then", "b.mp4")),
    ],
)
def test_what_is_not_pinned_is_said(run: RunStatus, at: Now, words: tuple[str, ...]) -> None:
    assert said(repetition(run, at).remarks, *words)


def test_the_same_content_under_another_time_is_the_same() -> None:
    touched = replace(FILE, modified=MODIFIED.replace(year=2027))
    assert repetition(told(inputs=(FILE,)), now(files=(touched,))).remarks == ()


def test_a_fresh_stage_needs_no_base() -> None:
    fresh = a_stage("detect", workspace=Workspace.FRESH)
    assert repetition(told(), now(stage=fresh, base=RunNumber(2))).remarks == ()


def test_two_requests_with_other_pins_are_not_the_same() -> None:
    one = Next(stage=StageName("detect"), pins=Pins(image="image@sha256:1"))
    assert canonical(one) != canonical(replace(one, pins=Pins(image="image@sha256:2")))
    assert canonical(one) != canonical(replace(one, pins=Pins()))
    assert canonical(Next(stage=StageName("detect"))) == canonical(replace(one, pins=Pins()))


def test_a_line_with_pins_reads_back_as_it_was_meant() -> None:
    pins = Pins(image="image@sha256:1", command=("sh", "-c", 'echo "ü: {x}" # no'), process_command=("run",))
    data = compose(line_of(Next(stage=StageName("detect"), pins=pins)).encode(), "").data
    assert data["next"]["pins"] == {
        "image": "image@sha256:1",
        "command": ["sh", "-c", 'echo "ü: {x}" # no'],
        "process": {"command": ["run"]},
    }
