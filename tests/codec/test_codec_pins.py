"""``next.pins`` and ``skip_unchanged`` as people and ``winslow reproduce`` write them."""

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.codec.desired import load
from reconciler.core.desired import Pins
from reconciler.core.names import PipelineName, ProjectName

GOOD = {
    "winslow.yaml": "version: 1\n",
    "pipelines/flow.yaml": "stages: [{name: detect, image: x, skip_unchanged: true}, {name: report, image: x}]\n",
}


def project(history: Callable[..., Any], pins: str) -> Any:
    text = f"pipeline: flow\nnext: {{stage: detect, after: 3, pins: {pins}}}\n"
    return load(history({**GOOD, "projects/ulm.yaml": text}))


@pytest.mark.parametrize(
    ("pins", "meant"),
    [
        ("{}", Pins()),
        ("{image: 'a@sha256:1'}", Pins(image="a@sha256:1")),
        ("{command: [run, --fast]}", Pins(command=("run", "--fast"))),
        ("{process: {command: [run]}}", Pins(process_command=("run",))),
    ],
)
def test_pins_are_read_as_they_are_meant(history: Callable[..., Any], pins: str, meant: Pins) -> None:
    request = project(history, pins).projects[ProjectName("ulm")].next
    assert request is not None
    assert request.pins == meant


@pytest.mark.parametrize(
    ("pins", "named"),
    [
        ("{image: 5}", "image"),
        ("{image: ''}", "image"),
        ("{command: run --fast}", "command"),
        ("{comand: [run]}", "comand"),
        ("{process: {}}", "process"),
        ("[image]", "pins"),
    ],
)
def test_bad_pins_are_named_with_their_place(history: Callable[..., Any], pins: str, named: str) -> None:
    desired = project(history, pins)
    [told] = [one for one in desired.problems if one.file == "projects/ulm.yaml"]
    assert told.line == 2
    assert named in told.message


def test_a_stage_is_skipped_only_where_its_pipeline_says_so(history: Callable[..., Any]) -> None:
    stages = project(history, "{}").pipelines[PipelineName("flow")].stages
    assert [stage.skip_unchanged for stage in stages] == [True, False]
