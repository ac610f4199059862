"""README.md of the branch ``observed``: how a person on a phone answers."""

from dataclasses import replace

import pytest

from reconciler.codec.overview import overview
from reconciler.core.desired import Confirm, Forge, Site
from reconciler.core.report import report
from reconciler.core.status import DeviceStatus, condition
from tests.fakes.build import a_desired, a_ledger, a_node, a_pipeline, a_run, a_stage

URL = "https://forge.example/ulm/state"


def readme(forge: Forge | None) -> str:
    pipeline = a_pipeline("detect", a_stage("track", confirm=Confirm.BEFORE))
    desired = a_desired(pipeline=pipeline, site=Site(forge=forge))
    return overview(report(desired, a_ledger(a_run(1)), [a_node()], branch="main"))


def test_answers_are_links_where_a_forge_can_merge() -> None:
    found = readme(Forge(kind="github", url=URL))
    assert f"[Start stage 'track' after run 1]({URL}/compare/main...proposals/crossing/1-continue)" in found
    assert f"[Start stage 'detect' again after run 1]({URL}/compare/main...proposals/crossing/1-redo)" in found
    assert f"`next: {{stage: track, after: 1}}` [edit]({URL}/edit/main/projects/crossing.yaml)<br>" in found


def test_answers_are_branches_to_merge_where_there_is_no_forge() -> None:
    assert "<br>Start stage 'track' after run 1: merge `proposals/crossing/1-continue`" in readme(None)


def test_words_of_others_become_neither_links_nor_cells() -> None:
    status = report(a_desired(pipeline=a_pipeline("detect")), a_ledger(a_run(1)), [a_node()], branch="main")
    loud = "gone | [here](https://evil.example) ![x](https://evil.example/x.png) <img src=x>\n\n# `now`"
    found = overview(replace(status, conditions=(condition("SourceUnavailable", loud),)))
    told = next(line for line in found.splitlines() if "gone" in line)
    assert told.startswith("> **SourceUnavailable**")
    assert r"gone \| \[here](" in told
    assert r"!\[x](" in told
    assert "&lt;img" in told


def test_nodes_tell_their_gpus_and_what_is_broken_but_not_who_uses_them() -> None:
    status = report(a_desired(), a_ledger(), [a_node()], branch="main")
    good = DeviceStatus(uuid="GPU-1", model="RTX A6000", memory=48 * 2**30)
    lost = replace(good, uuid="GPU-2", fault="has fallen | off the bus")
    held = replace(good, uuid="GPU-3", holder="crossing/0001-detect", busy="python (pid 4711)")
    (node,) = status.nodes
    found = overview(replace(status, nodes=(replace(node, devices=(good, lost, held)),)))
    assert r"| 3 x RTX A6000, 48.0 GiB; GPU 1 faulty: has fallen \| off the bus |" in found
    assert "crossing/0001" not in found
    assert "4711" not in found


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("next: {a: 1}", "`next: {a: 1}`"),
        ('next: {a: "<x> [y] \\\\d"}', '`next: {a: "<x> [y] \\\\d"}`'),
        ('next: {a: "b|c"}', '`next: {a: "b\\|c"}`'),
        ('next: {a: "`b``"}', '``` next: {a: "`b``"} ```'),
    ],
)
def test_a_line_to_paste_is_shown_as_it_is(line: str, shown: str) -> None:
    status = report(
        a_desired(pipeline=a_pipeline("detect", a_stage("track", confirm=Confirm.BEFORE))),
        a_ledger(a_run(1)),
        [a_node()],
        branch="main",
    )
    (project,) = status.projects
    assert project.waiting_for is not None
    asked = replace(project, waiting_for=replace(project.waiting_for, edit=line))
    assert f"| {shown}" in overview(replace(status, projects=(asked,)))
