"""``next.pins`` and ``skip_unchanged`` as people and ``winslow reproduce`` write them."""

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.codec.desired import load
from reconciler.core.desired import Pins
from reconciler.core.names import PipelineName, ProjectName

SHA = f"sha256:{'1' * 64}"

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
        (f"{{image: 'a@{SHA}'}}", Pins(image=f"a@{SHA}")),
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


@pytest.mark.parametrize(
    "image",
    [
        "busybox",
        "ada/traffic:V1_x.2",
        "localhost/x",
        "reg:5000/a/b-c__d.e:1",
        "127.0.0.1:5000/x",
        "[::1]:5000/x",
        "Registry.Example/x",
        f"registry.example:5000/traffic/flow:1.4@{SHA}",
        f"x@{SHA}",
        SHA,
    ],
)
def test_every_name_that_an_engine_knows_an_image_by_is_taken(history: Callable[..., Any], image: str) -> None:
    assert project(history, f"{{image: '{image}'}}").problems == ()


@pytest.mark.parametrize(
    "image",
    ["http://x/y", "@sha256:1", "a:", "reg:5000/", "a b", "/x", "a//b", "Busybox", "Ada/x", "x:1:2", "x@sha256:12"],
)
def test_what_can_be_no_image_is_said_where_it_is_written(history: Callable[..., Any], image: str) -> None:
    """Not hours later, by the engine of the node that was to run it."""
    stage = load(history({**GOOD, "pipelines/flow.yaml": f"stages: [{{name: detect, image: '{image}'}}]\n"}))
    for desired in (project(history, f"{{image: '{image}'}}"), stage):
        (problem,) = desired.problems
        assert "must be an image such as registry.example/traffic:1.4" in problem.message
