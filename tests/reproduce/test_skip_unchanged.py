"""A stage that says ``skip_unchanged`` takes the files of a run that was given the same, and runs where it was not."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.files import MountedFiles
from reconciler.core.desired import Unchanged
from reconciler.core.ledger import Run, RunPhase
from reconciler.core.records import Done
from tests.fakes.build import CROSSING, a_next
from tests.reproduce.conftest import Bench, skipping


def outcome(run: Run) -> Done:
    assert isinstance(run.last, Done), run.last
    return run.last


def through_once(bench: Bench) -> Run:
    """Runs 1 and 2: everything ran; returns the run of detect, which has left some files."""
    bench.begin()
    detected = bench.ended(2)
    assert bench.started() == [1, 2]
    (bench.claim(detected) / "workspace" / "tracks.json").write_text("7")
    (bench.claim(detected) / "output" / "counts.csv").write_text("7")
    return detected


def test_a_run_given_the_same_takes_the_files_of_the_earlier_one(bench: Bench) -> None:
    through_once(bench)
    bench.ask(a_next("look", 2))
    again = bench.ended(4)
    assert outcome(again).reused == 2
    assert bench.started() == [1, 2, 3]
    assert (bench.claim(again) / "workspace" / "tracks.json").read_text() == "7"
    events = (bench.claim(again) / "events.jsonl").read_text().splitlines()
    assert [(json.loads(line)["event"], json.loads(line)["of"]) for line in events] == [("reused", 2)]
    published = bench.lab.root / "projects/crossing/output/0004-detect/counts.csv"
    bench.lab.until(published.exists, "the output")
    assert published.read_text() == "7"


def test_the_reuse_of_a_reused_run_names_the_original(bench: Bench) -> None:
    through_once(bench)
    bench.ask(a_next("look", 2))
    assert outcome(bench.ended(4)).reused == 2
    bench.ask(a_next("look", 4))
    assert outcome(bench.ended(6)).reused == 2


def test_a_stage_after_a_reused_one_is_reused_as_well(bench: Bench) -> None:
    bench.stages = (*bench.stages, skipping("track"))
    bench.begin()
    bench.ended(3)
    bench.ask(a_next("look", 3))
    assert [outcome(bench.ended(number)).reused for number in (4, 5, 6)] == [None, 2, 3]


def test_who_asks_for_a_stage_by_name_gets_it_run(bench: Bench) -> None:
    through_once(bench)
    bench.ask(a_next("detect", 2))
    assert outcome(bench.ended(3)).reused is None
    assert bench.started() == [1, 2, 3]


def test_who_goes_through_the_pipeline_again_runs_only_what_has_to(bench: Bench) -> None:
    bench.stages = (*bench.stages, skipping("track"))
    bench.begin()
    bench.ended(3)
    bench.ask(a_next("detect", 3, unchanged=Unchanged.SKIP))
    assert [outcome(bench.ended(number)).reused for number in (4, 5)] == [2, 3]
    assert bench.started() == [1, 2, 3]


def changed_input(bench: Bench) -> None:
    bench.video.write_text("other frames")
    bench.ask(a_next("look", 2))


def changed_environment(bench: Bench) -> None:
    bench.ask(a_next("look", 2), environment={"THRESHOLD": "0.6"})


def changed_command(bench: Bench) -> None:
    bench.stages = (bench.stages[0], replace(bench.stages[1], process_command=("run", "--fast")))
    bench.ask(a_next("look", 2))


def another_input(bench: Bench) -> None:
    (bench.video.parent / "b.mp4").write_text("frames")
    bench.ask(a_next("look", 2), inputs=("resources/a.mp4", "resources/b.mp4"))


def lost_files(bench: Bench) -> None:
    run = bench.lab.run(2)
    assert run is not None
    shutil.rmtree(bench.claim(run) / "workspace")
    bench.ask(a_next("look", 2))


@pytest.mark.parametrize("change", [changed_input, changed_environment, changed_command, another_input, lost_files])
def test_a_run_that_would_be_another_one_runs(bench: Bench, change: Callable[[Bench], None]) -> None:
    through_once(bench)
    change(bench)
    assert outcome(bench.ended(4)).reused is None
    assert bench.started() == [1, 2, 3, 4]


def test_a_copy_of_the_same_video_with_another_time_counts_once_its_content_is_known(bench: Bench) -> None:
    through_once(bench)
    bench.video.unlink()
    bench.video.write_text("frames")
    bench.ask(a_next("look", 2))
    assert outcome(bench.ended(3)).inputs[0].sha256  # run 3 has read it: from now on its content is known
    assert outcome(bench.ended(4)).reused == 2


def test_wherever_a_node_dies_the_next_start_finishes_the_reuse(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call that changes files in the claim's directory may be the last one: a prefix of them never counts."""
    through_once(bench)
    points = 0
    for number in range(1, 20):
        last = len(bench.lab.history().runs)
        died = dies_at(bench, monkeypatch, number, last)
        points += died
        run = bench.ended(last + 2)
        assert outcome(run).reused == 2
        assert (bench.claim(run) / "workspace" / "tracks.json").read_text() == "7"
        assert (bench.claim(run) / "output" / "counts.csv").read_text() == "7"
        if not died:
            break
    assert points >= 5


def dies_at(bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int, last: int) -> bool:
    """Ask for everything once more, and let the node die at its ``number``-th change. False: there was none."""
    with monkeypatch.context() as patched:
        died = failing_from(patched, number)
        bench.ask(a_next("look", last))
        bench.lab.until(lambda: died() or _final(bench, last + 2), "the end or the death")
    if died():
        bench.lab.kill("a")
        bench.lab.join("a")
    return died()


def _final(bench: Bench, number: int) -> bool:
    run = bench.lab.run(number)
    return run is not None and run.is_final


def failing_from(patched: pytest.MonkeyPatch, number: int) -> Callable[[], bool]:
    """From the ``number``-th change in a claim's directory by a reuse on, the file system takes nothing any more."""
    count = 0

    def counted(name: str) -> Callable[..., Any]:
        call = getattr(MountedFiles, name)

        def counting(self: MountedFiles, *arguments: Any) -> Any:
            nonlocal count
            if "-detect" in str(arguments[-1]) and "records" not in str(arguments[-1]):
                count += 1
                if count >= number:
                    raise OSError(5, "the node is dying", str(arguments[-1]))
            return call(self, *arguments)

        return counting

    for name in ("create", "clone", "rename", "append"):
        patched.setattr(MountedFiles, name, counted(name))
    return lambda: count >= number


def test_inputs_that_changed_before_the_second_start_make_it_run_from_its_own_base(bench: Bench) -> None:
    """What a cut-short reuse has brought must not be taken for the workspace of a run that really runs."""
    detected = through_once(bench)
    share = SharedDirectory(bench.lab.root, writer="test")
    bench.ask(a_next("look", 2))
    bench.ended(3)
    run = bench.ended(4)
    claim = run.last_claim
    assert claim is not None
    again = replace(run, created=replace(run.created, run=type(run.number)(9)))
    assert share.reuse(CROSSING, again, claim, detected)
    share.discard_reuse(CROSSING, again, claim)
    paths = share.prepare(CROSSING, again, claim)
    assert list(Path(paths.workspace).iterdir()) == []
    assert run.phase is RunPhase.SUCCEEDED
