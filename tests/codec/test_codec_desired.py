from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.codec.desired import load, validate_tree
from reconciler.codec.directory import DirectoryTree
from reconciler.codec.parsed import Cache
from reconciler.core.desired import (
    Confirm,
    Desired,
    Gpus,
    Next,
    NodePolicy,
    Requires,
    Retries,
    Secret,
    Stage,
    StageOverride,
    Then,
)
from reconciler.core.problems import Severity
from reconciler.errors import BadInput

History = Callable[..., Any]

SITE = "version: 1\n"
FLOW = "stages: [{name: detect, image: x}, {name: report, image: x}]\n"
GOOD = {"winslow.yaml": SITE, "pipelines/flow.yaml": FLOW, "projects/ulm.yaml": "pipeline: flow\n"}

# The two examples of the design, as they stand there.
DESIGN = {
    "winslow.yaml": SITE + "defaults: {timeout: 2d, retries: {limit: 5}}\nenvironment: {TZ: UTC}\n",
    "pipelines/traffic-flow.yaml": """\
name: Traffic flow
environment: {FRAME_STEP: "1"}
stages:
  - name: detect
    image: registry.example/traffic:1.4
    command: [python, /app/detect.py]
    process: {command: [python, -m, traffic.detect]}   # only for the process runtime
    environment: {THRESHOLD: "0.5", LICENCE: {secret: tracker}}    # read on the node, never recorded
    requires: {cpus: 4, memory: 8GiB, gpus: {count: 1, vendor: nvidia, memory: 8GiB}, labels: {room: lab-2}}
    requires_environment: [CAMERA_HEIGHT]
    timeout: 36h
    retries: {limit: 2, backoff: 1m}
    confirm: once
    workspace: continue
    network: none
  - name: report
    image: registry.example/traffic:1.4
""",
    "projects/ulm/flight-07.yaml": """\
name: Ulm crossing, flight 07
pipeline: traffic-flow
tags: [mec-view, 4k]
inputs: [resources/ulm/flight-07.mp4]
environment: {THRESHOLD: "0.45"}
stages: {detect: {requires: {gpus: {count: 2}}}}
paused: false
next: {stage: detect, after: 3, from: 1, then: pause, environment: {A: null}, id: "second try"}
abort: 4
priority: 0
""",
    "nodes/lab-2.yaml": "labels: {room: lab-2}\ndrained: true\nlimits: {cpus: 8, memory: 32GiB, gpus: 1}\n",
}


def told(desired: Desired) -> list[str]:
    return [str(problem) for problem in desired.problems]


def test_the_designs_examples_become_what_they_say(history: History) -> None:
    desired = load(history(DESIGN))
    assert told(desired) == []
    pipeline = desired.pipelines["traffic-flow"]  # type: ignore[index]
    wants = Requires(cpus=4.0, memory=8 << 30, gpus=Gpus(count=1, memory=8 << 30), labels={"room": "lab-2"})
    assert pipeline.stages[0] == Stage(
        name="detect",  # type: ignore[arg-type]
        image="registry.example/traffic:1.4",
        command=("python", "/app/detect.py"),
        process_command=("python", "-m", "traffic.detect"),
        environment={"THRESHOLD": "0.5", "LICENCE": Secret("tracker")},
        requires=wants,
        requires_environment=("CAMERA_HEIGHT",),
        timeout=timedelta(hours=36),
        retries=Retries(limit=2, backoff=timedelta(minutes=1)),
        confirm=Confirm.ONCE,
    )
    assert pipeline.stages[1].timeout == timedelta(days=2), "the site's defaults fill in"
    assert pipeline.stages[1].retries == Retries(limit=5)
    project = desired.projects["flight-07"]  # type: ignore[index]
    assert (project.name, project.pipeline, project.path) == (
        "Ulm crossing, flight 07",
        "traffic-flow",
        "projects/ulm/flight-07.yaml",
    )
    assert project.stages == {
        "detect": StageOverride(
            requires=Requires(cpus=4.0, memory=8 << 30, gpus=Gpus(count=2, memory=8 << 30), labels={"room": "lab-2"})
        )
    }
    assert project.next == Next(
        stage="detect",  # type: ignore[arg-type]
        after=3,  # type: ignore[arg-type]
        base=1,  # type: ignore[arg-type]
        then=Then.PAUSE,
        environment={"A": None},
        id="second try",
    )
    assert (project.abort, project.priority, project.inputs) == (4, 0, ("resources/ulm/flight-07.mp4",))
    assert desired.nodes == {
        "lab-2": NodePolicy(labels={"room": "lab-2"}, drained=True, cpus=8.0, memory=32 << 30, gpus=1)
    }
    assert desired.site.environment == {"TZ": "UTC"}


def test_a_stages_ttl_below_three_heartbeats_is_told_where_it_stands(history: History) -> None:
    flow = "stages:\n  - {name: detect, image: x, ttl: 20s}\n  - {name: report, image: x, ttl: 1m30s}\n"
    slow = {**GOOD, "winslow.yaml": SITE + "heartbeat: 10s\n", "pipelines/flow.yaml": flow}
    desired = load(history(slow))
    assert [stage.ttl for stage in desired.pipelines["flow"].stages] == [timedelta(seconds=20), timedelta(seconds=90)]  # type: ignore[index]
    [problem] = desired.problems
    assert str(problem).startswith("pipelines/flow.yaml:2:35: ")
    assert "30s counts instead" in problem.message
    assert problem.severity is Severity.WARNING
    assert told(load(history({**slow, "winslow.yaml": SITE}))) == []


def test_a_drained_node_may_hand_over(history: History) -> None:
    desired = load(history({**GOOD, "nodes/lab.yaml": "drained: true\nhand_over: true\n"}))
    assert desired.nodes == {"lab": NodePolicy(drained=True, hand_over=True)}


def test_a_broken_file_is_represented_by_its_last_good_version(history: History) -> None:
    broken = {**GOOD, "projects/ulm.yaml": "pipeline: flow\npriority: high\n"}
    worse = {**GOOD, "projects/ulm.yaml": "pipeline: [\n"}
    desired = load(history(GOOD, {**GOOD, "projects/ulm.yaml": "pipeline: flow\npriority: 5\n"}, broken, worse))
    assert desired.projects["ulm"].priority == 5  # type: ignore[index]
    assert desired.stale == {"projects/ulm.yaml": "c2"}
    assert told(desired) == ["projects/ulm.yaml:2:1: a value or a closing bracket is missing before this place"]
    assert all(problem.file == "projects/ulm.yaml" for problem in desired.problems)


@pytest.mark.parametrize("path", ["winslow.yaml", "pipelines/flow.yaml", "nodes/lab.yaml", "projects/_defaults.yaml"])
def test_every_kind_of_file_keeps_its_last_good_version(history: History, path: str) -> None:
    before = {**GOOD, "nodes/lab.yaml": "drained: true\n", "projects/_defaults.yaml": "tags: [a]\n"}
    good, desired = load(history(before)), load(history(before, {**before, path: "]\n"}))
    assert desired.stale == {path: "c1"}
    assert len(desired.problems) == 1
    assert (desired.site, desired.pipelines, desired.projects, desired.nodes) == (
        good.site,
        good.pipelines,
        good.projects,
        good.nodes,
    )


def test_a_file_that_never_was_good_is_absent_and_the_others_go_on(history: History) -> None:
    desired = load(history({**GOOD, "projects/new.yaml": "priority: x\n"}))
    assert set(desired.projects) == {"ulm"}
    assert told(desired) == ["projects/new.yaml:1:11: priority must be a whole number from -1000 to 1000, not 'x'"]


def test_a_project_moved_and_broken_at_once_goes_on_as_it_was(history: History) -> None:
    moved = {path: text for path, text in GOOD.items() if path != "projects/ulm.yaml"} | {"projects/a/ulm.yaml": "]"}
    desired = load(history(GOOD, moved))
    assert desired.projects["ulm"].path == "projects/ulm.yaml"  # type: ignore[index]
    assert desired.stale == {"projects/ulm.yaml": "c1"}


def test_a_deleted_project_is_absent(history: History) -> None:
    desired = load(history(GOOD, {path: text for path, text in GOOD.items() if not path.startswith("projects/")}))
    assert desired.projects == {}
    assert told(desired) == []


def test_a_deleted_pipeline_goes_on_for_its_projects_with_a_warning(history: History) -> None:
    desired = load(history(GOOD, {path: text for path, text in GOOD.items() if not path.startswith("pipelines/")}))
    assert [stage.name for stage in desired.pipelines["flow"].stages] == ["detect", "report"]  # type: ignore[index]
    assert desired.stale == {"pipelines/flow.yaml": "c1"}
    assert told(desired) == [
        "projects/ulm.yaml:1:11: warning: pipelines/flow.yaml was deleted; its last version goes on in use: "
        "put it back, or name another pipeline"
    ]


def test_a_deleted_pipeline_that_nobody_uses_is_absent(history: History) -> None:
    desired = load(history({"winslow.yaml": SITE, "pipelines/flow.yaml": FLOW}, {"winslow.yaml": SITE}))
    assert (desired.pipelines, desired.problems) == ({}, ())


def test_two_equal_stems_are_an_error_for_both_and_change_nothing(history: History) -> None:
    doubled = {**GOOD, "projects/ulm.yaml": "pipeline: flow\npriority: 1\n", "projects/a/ulm.yaml": "pipeline: flow\n"}
    later = {**doubled, "projects/ulm.yaml": "pipeline: flow\npriority: 2\n"}
    desired = load(history(GOOD, doubled, later))
    assert desired.projects["ulm"].priority == 0, "as before the name was used twice"  # type: ignore[index]
    assert desired.stale == {"projects/ulm.yaml": "c1"}
    assert told(desired) == [
        "projects/a/ulm.yaml:1:1: the project 'ulm' exists twice, also as projects/ulm.yaml; "
        "rename or remove one (until then nothing changes)",
        "projects/ulm.yaml:1:1: the project 'ulm' exists twice, also as projects/a/ulm.yaml; "
        "rename or remove one (until then nothing changes)",
    ]


def test_folder_defaults_are_weaker_the_farther_away(history: History) -> None:
    desired = load(
        history(
            GOOD
            | {
                "pipelines/other.yaml": FLOW,
                "projects/_defaults.yaml": "pipeline: flow\ntags: [a, b]\nenvironment: {X: '1'}\n",
                "projects/x/_defaults.yaml": "pipeline: other\ntags: [b, c]\n",
                "projects/x/y/_defaults.yaml": "environment: {X: '2'}\n",
                "projects/x/y/near.yaml": "tags: [d]\n",
                "projects/own.yaml": "pipeline: other\n",
                "projects/far.yaml": "",
            }
        )
    )
    assert told(desired) == []
    near, own, far = (desired.projects[name] for name in ("near", "own", "far"))  # type: ignore[index]
    assert (near.pipeline, own.pipeline, far.pipeline) == ("other", "other", "flow")
    assert near.tags == ("a", "b", "c", "d")
    assert near.defaults == (("projects/_defaults.yaml", {"X": "1"}), ("projects/x/y/_defaults.yaml", {"X": "2"}))


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (
            {"projects/ulm.yaml": "tags: [a]\n"},
            "projects/ulm.yaml:1:1: this project names no pipeline; write for example",
        ),
        (
            {"projects/ulm.yaml": "pipeline: flo\n"},
            "projects/ulm.yaml:1:11: there is no pipelines/flo.yaml; did you mean 'flow'?",
        ),
        (
            {"projects/ulm.yaml": "", "projects/_defaults.yaml": "tags: [a]\npipeline: flo\n"},
            "projects/_defaults.yaml:2:11: there is no pipelines/flo.yaml; did you mean 'flow'?",
        ),
        (
            {"projects/ulm.yaml": "pipeline: flow\nstages: {detcet: {}}\n"},
            "projects/ulm.yaml:2:10: the pipeline 'flow' has no stage 'detcet'; its stages are detect, report",
        ),
        (
            {"projects/ulm.yaml": "pipeline: flow\nnext: {stage: track}\n"},
            "projects/ulm.yaml:2:15: the pipeline 'flow' has no stage 'track'; its stages are detect, report",
        ),
    ],
)
def test_a_fault_between_files_is_told_and_the_project_stays(
    history: History, files: Mapping[str, str], fault: str
) -> None:
    desired = load(history(GOOD, {**GOOD, **files}))
    assert "ulm" in desired.projects
    assert desired.stale == {}, "the file itself is not broken"
    (line,) = told(desired)
    assert line.startswith(fault)


GPUS_FLOW = (
    "stages: [{name: nap, image: x}, {name: detect, image: x, requires: {gpus: {count: 1, capability: '8.6'}}},\n"
    "  {name: track, image: x, requires: {gpus: {count: 1, memory: 8GiB}}}]\n"
)


@pytest.mark.parametrize(
    ("stages", "fault"),
    [
        (
            "nap: {requires: {gpus: {memory: 8GiB, model: A100}}}",
            "2:42: requires.gpus asks for memory: 8GiB, model: A100 but for 0 GPUs (the pipeline asks for none): "
            "write count: 1",
        ),
        (
            "track: {requires: {gpus: {count: 0, share: true}}}",
            "2:53: requires.gpus asks for share: true but for 0 GPUs (count: 0): write count: 1",
        ),
        (
            "detect: {requires: {gpus: {vendor: amd}}}",
            "2:45: gpus.capability is CUDA's: no AMD GPU has one; leave it out or write vendor: nvidia",
        ),
        (
            "detect: {requires: {gpus: {share: true}}}",
            "2:44: share: true needs the memory that the stage takes of each GPU; write for example memory: 8GiB "
            "beside it",
        ),
    ],
)
def test_what_a_project_asks_of_gpus_is_judged_together_with_its_pipeline(
    history: History, stages: str, fault: str
) -> None:
    files = {"pipelines/flow.yaml": GPUS_FLOW, "projects/ulm.yaml": f"pipeline: flow\nstages: {{{stages}}}\n"}
    desired = load(history({**GOOD, **files}))
    assert told(desired) == [f"projects/ulm.yaml:{fault}"]
    assert "ulm" in desired.projects


@pytest.mark.parametrize(
    "stages",
    [
        "nap: {requires: {gpus: {count: 1, memory: 8GiB}}}",
        "track: {requires: {gpus: 0}}",
        "track: {requires: {gpus: {count: 0}}}",
        "track: {requires: {gpus: {share: true}}}",
        "track: {requires: {gpus: {vendor: amd}}}",
        "detect: {requires: {cpus: 2}}",
    ],
)
def test_a_project_may_ask_for_gpus_take_them_back_or_complete_what_the_pipeline_asks(
    history: History, stages: str
) -> None:
    files = {"pipelines/flow.yaml": GPUS_FLOW, "projects/ulm.yaml": f"pipeline: flow\nstages: {{{stages}}}\n"}
    assert told(load(history({**GOOD, **files}))) == []


def test_a_limit_that_holds_nothing_back_is_told_where_it_stands(history: History) -> None:
    limits = (
        "limits:\n  tags: {student: {gpus: 1}, studnet: {gpus: 1}}\n  projects: {ulm: {gpus: 1}, ulm7: {gpus: 1}}\n"
    )
    project = "pipeline: flow\ntags: [student]\n"
    files = {**GOOD, "winslow.yaml": SITE + limits, "projects/ulm.yaml": project}
    assert told(load(history(files))) == [
        "winslow.yaml:3:30: warning: this limits nothing: no project has the tag 'studnet'; did you mean 'student'?",
        "winslow.yaml:4:30: warning: this limits nothing: there is no project 'ulm7'; did you mean 'ulm'?",
    ]
    del files["projects/ulm.yaml"]
    assert told(load(history(files))) == [], "a new site may write its limits first"


@pytest.mark.parametrize(("skipping", "is_told"), [("detect", True), ("track", False), ("report", False)])
def test_a_request_to_skip_where_no_stage_skips_is_a_warning(history: History, skipping: str, is_told: bool) -> None:
    flow = "".join(
        f"  - {{name: {name}, image: x, skip_unchanged: {str(name == skipping).lower()}}}\n"
        for name in ("detect", "track", "report")
    )
    project = "pipeline: flow\nnext: {stage: track, unchanged: skip}\n"
    files = {**GOOD, "pipelines/flow.yaml": f"stages:\n{flow}", "projects/ulm.yaml": project}
    fault = (
        "projects/ulm.yaml:2:33: warning: next.unchanged: skip has no effect: neither 'track' nor a later stage says "
        "skip_unchanged: true in pipelines/flow.yaml"
    )
    assert told(load(history(files))) == [fault] * is_told


def test_a_repository_without_settings_is_told_to_write_them(history: History) -> None:
    files = {path: text for path, text in GOOD.items() if path != "winslow.yaml"}
    assert told(load(history(files))) == [
        "winslow.yaml:1:1: warning: there is no such file; write one with at least version: 1"
    ]
    assert load(history(GOOD, files)).stale == {"winslow.yaml": "c1"}


def test_an_unchanged_file_is_read_once(history: History) -> None:
    cache, tree = Cache(), history(GOOD)
    assert load(tree, cache) == load(tree, cache)
    assert len(tree.reads) == 3
    changed = history({**GOOD, "projects/ulm.yaml": "pipeline: flow\npaused: true\n"})
    assert load(changed, cache).projects["ulm"].paused  # type: ignore[index]
    assert len(changed.reads) == 1


def test_a_moved_broken_file_is_told_under_its_new_path(history: History) -> None:
    cache = Cache()
    load(history({**GOOD, "projects/a/x.yaml": "]"}), cache)
    (problem,) = load(history({**GOOD, "projects/b/x.yaml": "]"}), cache).problems
    assert problem.file == "projects/b/x.yaml"


def test_a_directory_is_checked_like_a_repository(tmp_path: Path) -> None:
    for path, text in {**GOOD, "projects/bad.yaml": "pipeline: flo\n", ".git/x.yaml": "]", "pipes/y.yaml": ""}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "projects/link.yaml").symlink_to("/etc/passwd")
    assert [(problem.file, problem.severity) for problem in validate_tree(DirectoryTree(tmp_path))] == [
        ("pipes/y.yaml", "warning"),
        ("projects/bad.yaml", "error"),
        ("projects/link.yaml", "error"),
    ]


def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a directory"):
        DirectoryTree(tmp_path / "nowhere")
