"""The branch ``observed``: files that people read, that fold and unfold, and that nobody's text can break."""

import re
from dataclasses import replace

import pytest

from reconciler.codec.observed import Folding, fold, headline, unfold
from reconciler.core.ledger import Run
from reconciler.core.report import report
from reconciler.core.status import DeviceStatus, ProjectPhase, Status
from tests.fakes.build import (
    NOW,
    a_claim,
    a_desired,
    a_ledger,
    a_node,
    a_project,
    a_run,
    done,
    failed,
    released,
)

HOSTILE = "| a | <script>alert(1)</script> `code` \\| \n# heading\n---\n[x](javascript:1)"


def status(*runs: Run, silent_for: float = 0.0, name: str = "Crossing") -> Status:
    nodes = (a_node("a"), a_node("b", silent_for=silent_for))
    return report(a_desired(a_project(name=name)), a_ledger(*runs), nodes, branch="main")


RUNNING = Run(created=a_run().created, records=(a_claim(),), started_at=NOW)
ENDED = a_run(1, "detect", a_claim(), done(results={"vehicles": "42", "no": "yes"}))


@pytest.mark.parametrize("runs", [(), (RUNNING,), (ENDED,), (a_run(1, "detect", a_claim(), failed(message=HOSTILE)),)])
def test_what_is_folded_unfolds_to_the_same_but_for_what_ages(runs: tuple[Run, ...]) -> None:
    before = status(*runs)
    after = unfold(fold(before))
    assert after.projects == tuple(replace(project, nodes={}) for project in before.projects)
    assert (after.commit, after.conditions, after.version) == (before.commit, before.conditions, before.version)
    assert [node.node for node in after.nodes] == ["a", "b"]
    assert all(node.live is None and node.silent_for is None for node in after.nodes)


def test_files_lie_where_the_contract_says() -> None:
    assert sorted(fold(status(ENDED))) == [
        "README.md",
        "nodes/a.yaml",
        "nodes/b.yaml",
        "projects/crossing/runs/0001-detect.yaml",
        "projects/crossing/status.yaml",
        "status.yaml",
    ]


def test_who_holds_a_gpu_and_how_far_a_start_is_changes_no_file() -> None:
    """The run's own file tells; a node's changes with the machine alone."""
    told = status(RUNNING)
    device = DeviceStatus(uuid="GPU-1", model="RTX A6000")
    held = replace(device, holder="crossing/0001-detect", busy="python (pid 4711)")

    def files(one: DeviceStatus, *, cpus: float, now: str | None) -> dict[str, str]:
        nodes = tuple(replace(node, devices=(one,), cpus_used=cpus, memory_used=int(cpus)) for node in told.nodes)
        projects = tuple(replace(p, runs=tuple(replace(run, now=now) for run in p.runs)) for p in told.projects)
        return fold(replace(told, nodes=nodes, projects=projects))

    assert files(device, cpus=0.0, now=None) == files(held, cpus=4.0, now="pulled 3 of 8 GiB")
    assert "pulled" not in str(files(held, cpus=4.0, now="pulled 3 of 8 GiB"))


def test_silence_alone_changes_no_file() -> None:
    assert fold(status(RUNNING, silent_for=3.0)) == fold(status(RUNNING, silent_for=99.0))


def said(before: Status | None, after: Status | None) -> str:
    return headline(fold(before) if before else {}, fold(after) if after else {})


def test_the_commit_says_what_happened_in_one_line() -> None:
    assert said(status(), status(RUNNING)).splitlines()[0] == "crossing: run 1 detect Running on a"
    assert said(status(RUNNING), status(ENDED)).startswith("crossing: run 1 detect Succeeded on a")
    retried = a_run(1, "detect", a_claim(1), released(2), a_claim(3, "b"))
    assert "crossing: run 1 detect Starting on b, attempt 2" in said(status(RUNNING), status(retried))


def test_a_failure_says_what_the_project_waits_for() -> None:
    broken = a_run(1, "detect", a_claim(), failed())
    assert "crossing: Failed (ExitCode)" in said(status(RUNNING), status(broken))


def test_the_subject_stays_short_and_the_body_tells_all() -> None:
    first = said(None, status(ENDED))
    subject, blank, *body = first.splitlines()
    assert len(subject) <= 72
    assert blank == ""
    assert {"a: joined", "b: joined"} <= set(body)


def test_a_removed_project_and_node_are_told() -> None:
    empty = Status(projects=(), nodes=(), commit="c" * 40)
    lines = said(status(), empty)
    assert "crossing: gone" in lines
    assert "a: left" in lines


def test_the_table_stands_whatever_somebody_wrote() -> None:
    broken = a_run(1, "detect", a_claim(), failed(message=HOSTILE, reason="ExitCode"))
    found = status(broken, name=HOSTILE)
    assert found.projects[0].phase is ProjectPhase.FAILED
    readme = fold(found)["README.md"]
    rows = [line for line in readme.splitlines() if line.startswith("| [crossing]")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 6, "five cells, whatever stands in them"
    assert "<script>" not in readme
    assert "\n# heading" not in readme


def test_folding_again_writes_only_what_changed_and_says_the_same() -> None:
    """A site of a thousand runs changes one at a time; the publisher must not write all of them anew each time."""
    folding = Folding()
    before = folding(status(ENDED))
    after = folding(status(ENDED, RUNNING))
    assert before == fold(status(ENDED))
    assert after == fold(status(ENDED, RUNNING))
    ended = "projects/crossing/runs/0001-detect.yaml"
    assert folding(status(ENDED, silent_for=3.0))[ended] is folding(status(ENDED, silent_for=9.0))[ended]
    assert folding(status(a_run(1, "detect", a_claim(), failed())))[ended] != before[ended]
