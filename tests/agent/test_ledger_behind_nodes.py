"""Nodes on a share that was restored from a backup: they hold still and say so, and a younger branch fools nobody."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.agent.ledger_watch import SURE
from reconciler.agent.node import Agent
from reconciler.codec.observed import fold
from reconciler.core.ledger_behind import Noted
from reconciler.core.names import Commit, ProjectName
from reconciler.core.report import report
from reconciler.core.status import STATUS_VERSION
from reconciler.errors import Transient
from reconciler.readers.live import LiveReader
from tests.fakes.build import CROSSING, a_next, a_pipeline, a_project, a_stage
from tests.fakes.lab import FakeObserved, Lab

ULM = ProjectName("ulm")
PIPELINE = a_pipeline("detect")


def restored(lab: Lab, tmp_path: Path) -> None:
    """Run 1 was backed up, run 2 was published after that; then yesterday's share is back, and no node runs."""
    lab.write(a_project(), pipeline=PIPELINE)
    agent = lab.join("a")
    lab.until(lambda: lab.phases() == ["Succeeded"])
    shutil.copytree(lab.root, tmp_path / "backup", symlinks=True)
    lab.write(a_project(next=a_next("detect", 1)), pipeline=PIPELINE)
    lab.until(lambda: lab.phases() == ["Succeeded", "Succeeded"])
    lab.turn()
    agent.publish()
    lab.kill("a")
    shutil.rmtree(lab.root)
    (tmp_path / "backup").rename(lab.root)


def said(agent: Agent) -> list[str]:
    return [one.type for one in agent.conditions()]


def records(lab: Lab) -> int:
    return sum(1 for _ in (lab.root / "projects").rglob("records/*.json"))


def test_nobody_claims_or_publishes_on_yesterdays_share_and_everybody_says_so(lab: Lab, tmp_path: Path) -> None:
    restored(lab, tmp_path)
    before, pushed, begun = records(lab), list(lab.observed.messages), lab.starts()
    agents = [lab.join("a"), lab.join("b")]
    for _ in range(int(SURE) + 2):
        lab.turn()
        assert not any(agent.publish() for agent in agents)
    assert (records(lab), lab.observed.messages, lab.starts()) == (before, pushed, begun)
    for agent in agents:
        assert said(agent) == ["LedgerBehind"]
        assert agent.last_plan.waiting[CROSSING].because == "LedgerBehind"
    reader = LiveReader(agents[0].config, lab.source, lab.observed, lab.clock)
    [told] = [one for one in reader.status().conditions if one.type == "LedgerBehind"]
    assert "winslow rebuild" in told.message


def test_a_first_tick_holds_already_though_nobody_is_told_yet(lab: Lab, tmp_path: Path) -> None:
    restored(lab, tmp_path)
    agent = lab.join("a")
    lab.write(a_project(next=a_next("detect", 1)), a_project("ulm"), pipeline=PIPELINE)
    lab.turn()
    assert (agent.last_plan.actions, said(agent)) == ((), [])
    assert agent.last_plan.waiting[ULM].because == "LedgerBehind"


def test_a_node_that_ends_hands_nothing_over_on_such_a_share(lab: Lab, tmp_path: Path) -> None:
    hold = a_pipeline(a_stage("detect", command=("sh", "-c", "hold")))
    lab.write(a_project(), pipeline=hold)
    agent = lab.join("a")
    lab.until(lambda: lab.phases() == ["Running"])
    before = records(lab)
    tell(lab, CROSSING, record=9)
    agent.fetch()
    lab.turn()
    with pytest.raises(Transient, match="handed nothing over: the share lacks records"):
        agent.hand_over()
    assert records(lab) == before
    assert all(not program.ended.is_set() for program in lab.runtimes["a"].programs.values())


def tell(lab: Lab, project: ProjectName, *, record: int) -> None:
    text = f"record: {record}\ntoken: somebody\n"
    lab.observed.files = {**lab.observed.files, f"projects/{project}/status.yaml": text}


def test_a_branch_that_is_younger_than_our_view_of_the_ledger_is_not_believed(lab: Lab) -> None:
    """It is fetched after a tick has read the ledger and before it compares: the record is there by then."""
    lab.write(a_project(paused=True))
    agent = lab.join("a")
    lab.turn()
    old = agent._share.read()
    before_it_was_read = agent._watch.noted
    lab.write(a_project(paused=True, priority=1))
    other = lab.join("b")
    lab.until(lambda: len(lab.history().records) == 2)
    assert other.publish()
    agent.fetch()
    assert agent._watch.noted != before_it_was_read
    assert agent._watch.compare(old, before_it_was_read) == ()
    assert agent._watch.compare(old, agent._watch.noted) != (), "the comparison that must not be made"
    for _ in range(int(SURE) + 2):
        lab.turn()
    assert said(agent) == []


def test_a_lack_that_passes_is_told_to_nobody_and_holds_no_longer(lab: Lab) -> None:
    lab.write(a_project(), pipeline=PIPELINE)
    agent = lab.join("a")
    files = lab.observed.files
    tell(lab, ULM, record=1)
    agent.fetch()
    lab.turn()
    assert (agent.last_plan.waiting[CROSSING].because, said(agent)) == ("LedgerBehind", [])
    lab.observed.files = files
    agent.fetch()
    lab.until(lambda: lab.phases() == ["Succeeded"])


def test_a_project_that_is_purged_meanwhile_raises_no_alarm(lab: Lab) -> None:
    lab.write(a_project(), a_project("ulm"), pipeline=PIPELINE)
    agent = lab.join("a")
    lab.until(lambda: lab.phases() == lab.phases(ULM) == ["Succeeded"])
    lab.turn()
    agent.publish()
    before = lab.source.commits[-1]
    gone = replace(
        before,
        commit=Commit(f"{lab.written + 1:040d}"),
        site=replace(before.site, retention=timedelta(0)),
        projects={ULM: before.projects[ULM]},
    )
    lab.source.commits.append(gone)
    lab.clock.seconds += 1.0
    agent.fetch()
    lab.until(lambda: agent.fetch() or (lab.history().retired is not None and not lab.history().records))
    for _ in range(int(SURE) + 2):
        agent.fetch()
        lab.turn()
        assert agent._watch.lacking == ()
    agent.publish()
    assert not any(path.startswith("projects/crossing/") for path in lab.observed.files)


def test_the_publisher_itself_replaces_no_file_that_tells_of_a_record_the_ledger_lacks(lab: Lab) -> None:
    """Whatever the node's own watch has seen: the head that it replaces was read before the ledger."""
    lab.write(a_project(paused=True))
    agent = lab.join("a")
    lab.turn()
    tell(lab, CROSSING, record=7)
    before = lab.observed.files
    assert agent._watch.noted == ()
    assert not agent.publish()
    assert lab.observed.files == before


class NewerBranch(FakeObserved):
    """As a newer Winslow folds it."""

    def read(self) -> Mapping[str, str]:
        return {**self.files, "status.yaml": f"version: {STATUS_VERSION + 1}\n"}

    def noted(self) -> tuple[Noted, ...]:
        return ()


def test_a_branch_of_a_newer_winslow_is_left_to_newer_nodes(lab: Lab) -> None:
    lab.observed = NewerBranch()
    lab.write(a_project(paused=True))
    agent = lab.join("a")
    lab.turn()
    assert not agent.publish()
    assert lab.observed.messages == []
    [told] = agent.conditions()
    assert told.type == "PublishFailing"
    assert "has version 2, and this Winslow writes 1" in told.message


def test_runs_whose_records_only_a_newer_winslow_can_read_stay_published(lab: Lab) -> None:
    lab.write(a_project(), pipeline=PIPELINE)
    agent = lab.join("a")
    lab.until(lambda: lab.phases() == ["Succeeded"])
    lab.turn()
    agent.publish()
    run = lab.observed.files["projects/crossing/runs/0001-detect.yaml"]
    lab.kill("a")
    newest = len(lab.history().records) + 1
    record = lab.root / f"projects/crossing/records/{newest:08d}.json"
    record.write_text('{"kind": "PONDERED", "version": 1}')
    agent = lab.join("a")
    lab.turn()
    agent.publish()
    assert lab.observed.files["projects/crossing/runs/0001-detect.yaml"] == run
    assert "RecordUnreadable" in lab.observed.files["projects/crossing/status.yaml"]


def test_what_is_published_is_what_is_noted(lab: Lab) -> None:
    """No publication of a whole ledger makes that ledger look behind."""
    lab.write(a_project(), a_project("ulm"), pipeline=PIPELINE)
    agent = lab.join("a")
    lab.until(lambda: lab.phases() == lab.phases(ULM) == ["Succeeded"])
    lab.turn()
    agent.publish()
    assert {path for path in lab.observed.files if "runs/" in path} <= set(
        fold(report(lab.source.commits[-1], agent._share.read(), (), branch="main"))
    )
    assert len(lab.observed.noted()) == 4
    agent.fetch()
    lab.turn()
    assert agent._watch.lacking == ()
