"""What a reader shows that looks only now and then, or may not read everything."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.readers.live import LiveReader
from tests.fakes.build import a_pipeline, a_project, a_stage
from tests.fakes.lab import Lab


def test_a_node_that_died_between_two_rare_looks_is_shown_as_dead(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(a_project(paused=True))
    agent = lab.join()
    lab.turn()
    reader = LiveReader(agent.config, lab.source, lab.observed, lab.clock)
    assert reader.status().nodes[0].live
    now = lab.clock.now
    monkeypatch.setattr(lab.clock, "now", lambda: now() + timedelta(seconds=600))
    lab.clock.seconds += 600
    assert not reader.status().nodes[0].live


def test_a_log_that_cannot_be_read_hides_its_progress_alone(lab: Lab) -> None:
    lab.write(a_project(), pipeline=a_pipeline(a_stage(command=("sh", "-c", "hold"))))
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    next(lab.root.glob("projects/*/runs/*/1")).joinpath("log.jsonl").mkdir()
    [project] = LiveReader(agent.config, lab.source, lab.observed, lab.clock).status().projects
    assert (project.runs[0].phase, project.runs[0].progress) == ("Running", None)
    next(lab.root.glob("projects/*/runs/*/1")).joinpath("log.jsonl").rmdir()


def test_of_a_lost_log_the_last_lines_are_shown_once(lab: Lab) -> None:
    """However the log is asked for: from its start, from its end, and on from what was given."""
    lab.write(a_project(), pipeline=a_pipeline(a_stage(command=("sh", "-c", "echo one; echo two"))))
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Succeeded"])
    reader = LiveReader(agent.config, lab.source, lab.observed, lab.clock)
    [project] = reader.status().projects
    [run] = project.runs
    assert run.log is not None
    lab.root.joinpath(run.log).unlink()
    page = reader.log(project.project, run.run)
    assert [line.line for line in page.lines if line.stream == "stdout"] == list(run.tail) == ["one", "two"]
    assert "the log was lost" in page.lines[0].line
    assert reader.log(project.project, run.run, offset=-1000) == page
    assert reader.log(project.project, run.run, offset=page.next_offset).lines == ()


def test_of_a_rewritten_history_the_nodes_tell_and_not_the_readers_own_clone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader's clone may have seen a later commit than any node: merging that one would free nobody."""
    lab.write(a_project(paused=True))
    agent = lab.join()
    lab.turn()
    fetch = lab.source.fetch
    held = "main was rewritten: to keep both: git merge -s ours 1111"
    own = "main was rewritten: to keep both: git merge -s ours 2222"

    def rewritten(told: str) -> None:
        answer = lambda site: replace(fetch(site), reason="SourceRewritten", error=told)  # noqa: E731
        monkeypatch.setattr(lab.source, "fetch", answer)

    rewritten(own)
    [early] = LiveReader(agent.config, lab.source, lab.observed, lab.clock).status().conditions
    assert "winslow accept-rewrite" in early.message
    assert "git merge" not in early.message
    rewritten(held)
    agent.fetch()
    lab.clock.seconds += 0.1
    agent.beat()
    rewritten(own)
    told = [one.message for one in LiveReader(agent.config, lab.source, lab.observed, lab.clock).status().conditions]
    assert told == [f"node {agent.config.name}: {held}"]
