"""Deleting, restoring and purging: what each node plans."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.actions import (
    CreateRun,
    PublishProject,
    PublishRun,
    Purge,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from reconciler.core.containers import ContainerState
from reconciler.core.desired import Desired, Project, Site
from reconciler.core.draft import Me, Plan
from reconciler.core.ledger import Ledger, ProjectHistory, Retired, Run, RunPhase
from reconciler.core.lifecycle import unconfirmed
from reconciler.core.names import Blob, Commit, ProjectName, RecordNumber, RunNumber
from reconciler.core.nodes import Node
from reconciler.core.plan import plan
from reconciler.core.problems import Problem, Severity
from reconciler.core.records import Aborted, Claim, Deleted, DesiredSeen, Purged, Restored, RewriteAccepted
from reconciler.core.report import report
from reconciler.core.status import ProjectPhase
from tests.fakes.build import (
    COMMIT,
    CROSSING,
    NOW,
    SHARE,
    A,
    a_claim,
    a_container,
    a_desired,
    a_history,
    a_key,
    a_ledger,
    a_next,
    a_node,
    a_project,
    a_run,
    a_seen,
    aborted,
    done,
    header,
    me,
)
from tests.fakes.world import World

GONE, NEWER = Commit("d" * 40), Commit("e" * 40)
WEEK = timedelta(days=7)
AT_ONCE = Site(retention=timedelta(0))


def without_file(**fields: object) -> Desired:
    return replace(a_desired(), projects={}, **{"commit": GONE, "removed": {CROSSING: GONE}, **fields})  # type: ignore[arg-type]  # named by tests


def seeing(*commits: Commit, name: str = "a", **fields: object) -> Me:
    known = {"contained": frozenset({COMMIT, GONE, *commits}), "share_time": NOW, "source_asked": 1001.0}
    return me(name, **{**known, **fields})


def deleted(*runs: Run, days: float = 0.0, **fields: object) -> Ledger:
    """Its file is gone since so many days."""
    before = (a_seen(), *(run.created for run in runs))
    records = (*before, Deleted(**header(len(before) + 1), commit=GONE))
    history = ProjectHistory(records=records, runs=runs, deleted_at=NOW - timedelta(days=days), **fields)  # type: ignore[arg-type]  # named by tests
    return Ledger(share=SHARE, projects={CROSSING: history})


def then(ledger: Ledger, *records: Restored | Purged) -> Ledger:
    history = ledger.history(CROSSING)
    return replace(ledger, projects={CROSSING: replace(history, records=(*history.records, *records), deleted_at=None)})


def planned(desired: Desired, ledger: Ledger, about: Me | None = None, nodes: tuple[Node, ...] | None = None) -> Plan:
    return plan(desired, ledger, (a_node("a"),) if nodes is None else nodes, about or seeing())


def records(todo: Plan) -> list[object]:
    return [action.record for action in todo.actions if isinstance(action, PublishProject | PublishRun)]


def kinds(todo: Plan) -> list[str]:
    return [type(record).__name__ for record in records(todo)]


OPEN = a_run(1, "detect", a_claim(1, "b"))


# --- deleted ---


def test_a_file_that_is_gone_is_recorded_and_then_its_run_is_aborted_by_anybody() -> None:
    """Nobody has to ask the claimant: its record is superseded, and its sweep stops the container."""
    world = World(without_file(), (a_node("a"), a_node("b")), a_ledger(OPEN))
    first = plan(world.desired, world.ledger, world.nodes, seeing())
    [record] = records(first)
    assert isinstance(record, Deleted)
    assert record.commit == GONE
    world.carry_out(A, first.actions)
    [record] = records(plan(world.desired, world.ledger, world.nodes, seeing()))
    assert isinstance(record, Aborted)
    assert record.commit == GONE


def test_a_deleted_project_is_told_with_the_way_back() -> None:
    waiting = planned(without_file(), deleted(a_run(1, "detect"))).waiting[CROSSING]
    assert (waiting.phase, waiting.because) == (ProjectPhase.DELETING, "Deleted")
    assert "removed after 2026-11-08 12:00 UTC" in waiting.message
    assert "winslow restore crossing" in waiting.message
    assert f"git revert {GONE[:12]}" in waiting.message


def test_a_node_that_lacks_the_newest_commit_deletes_nothing() -> None:
    """The project may be younger than everything that the node has seen."""
    ledger = a_ledger(seen=a_seen(commit=NEWER))
    todo = planned(without_file(), ledger)
    assert not todo.actions
    assert todo.waiting[CROSSING].because == "SourceBehind"


def test_a_deletion_holds_against_a_node_that_still_sees_the_file() -> None:
    """It neither starts what comes next nor calls the project restored, and helps to abort what runs."""
    old = me(contained=frozenset({COMMIT}))
    assert not planned(a_desired(), deleted(a_run(1, "detect")), old).actions
    assert kinds(planned(a_desired(), deleted(OPEN), old)) == ["Aborted"]


def test_nothing_starts_in_a_deleted_project_whatever_state_its_run_is_in() -> None:
    for run in (a_run(1, "detect"), a_run(1, "detect", a_claim()), Run(created=a_run(1, "detect").created)):
        todo = planned(without_file(), deleted(run))
        assert not [action for action in todo.actions if isinstance(action, StartContainer | CreateRun)]


def test_a_deleted_project_with_an_aborted_run_names_the_node_that_may_still_run_something() -> None:
    """The run counts as aborted already; its container may not have ended yet."""
    ended = a_run(1, "detect", a_claim(1, "b"), aborted())
    told = planned(without_file(), deleted(ended)).waiting[CROSSING].message
    assert "UTC, once b no longer runs anything of run 1. To get it back" in told
    assert "no longer runs" not in planned(without_file(), deleted(a_run(1, "detect"))).waiting[CROSSING].message


@pytest.mark.parametrize(
    "file",
    [
        pytest.param("projects/crossing.yaml", id="broken"),
        pytest.param("projects/ulm/crossing.yaml", id="moved and broken"),
        pytest.param("projects/crossing.yml", id="another ending"),
        pytest.param("project/crossing.yaml", id="a folder that nobody reads"),
        pytest.param("projects/ulm", id="a submodule where a folder should be"),
    ],
)
def test_what_may_be_its_file_keeps_a_project_from_being_deleted(file: str) -> None:
    problem = Problem(file=file, line=1, column=1, message="can't be read", severity=Severity.WARNING)
    desired = without_file(problems=(problem,))
    todo = planned(desired, a_ledger(a_run(1, "detect")))
    assert not todo.actions
    assert (todo.waiting[CROSSING].phase, todo.waiting[CROSSING].because) == (ProjectPhase.INVALID, "FileBroken")
    assert file in todo.waiting[CROSSING].message
    assert not planned(replace(desired, site=AT_ONCE), deleted(a_run(1, "detect"))).actions, "purged all the same"


def test_another_projects_broken_file_keeps_nobody() -> None:
    problems = tuple(
        Problem(file=file, line=1, column=1, message="odd") for file in ("projects/ulm.yaml", "pipelines/crossing.yaml")
    )
    assert kinds(planned(without_file(problems=problems), a_ledger())) == ["Deleted"]


# --- restored ---


def test_a_file_that_is_back_restores_the_project_before_anything_else() -> None:
    """What was aborted stays aborted: a person says where to go on."""
    run = a_run(1, "detect", a_claim(), aborted())
    back = a_desired(a_project(blob=Blob("changed")), commit=NEWER)
    world = World(back, (a_node("a"),), deleted(run))
    first = planned(back, world.ledger, seeing(NEWER))
    assert kinds(first) == ["Restored"]
    world.carry_out(A, first.actions)
    second = planned(back, world.ledger, seeing(NEWER))
    assert kinds(second) == ["DesiredSeen"]
    world.carry_out(A, second.actions)
    waiting = planned(back, world.ledger, seeing(NEWER)).waiting[CROSSING]
    assert (waiting.phase, waiting.because, waiting.edit) == (
        ProjectPhase.FAILED,
        "Aborted",
        "next: {stage: detect, after: 1}",
    )


def test_a_restored_project_goes_on_where_it_was() -> None:
    ledger = then(deleted(a_run(1, "detect")), Restored(**header(4), commit=NEWER))
    todo = planned(a_desired(commit=NEWER), ledger, seeing(NEWER))
    [created] = [action.record for action in todo.actions if isinstance(action, CreateRun)]
    assert (created.run, created.stage) == (2, "track")


def test_a_run_that_nobody_aborted_yet_goes_on_when_the_file_is_back() -> None:
    ledger = then(deleted(OPEN), Restored(**header(4), commit=NEWER))
    nodes = (a_node("a"), a_node("b"))
    todo = planned(a_desired(commit=NEWER), ledger, seeing(NEWER), nodes)
    assert not todo.actions
    assert todo.waiting[CROSSING].phase is ProjectPhase.RUNNING


def test_a_file_that_comes_and_goes_is_recorded_each_time() -> None:
    ledger = then(deleted(), Restored(**header(3), commit=NEWER))
    gone_again = without_file(commit=Commit("f" * 40))
    assert kinds(planned(gone_again, ledger, seeing(NEWER, Commit("f" * 40)))) == ["Deleted"]


# --- purged ---


def may_purge(
    desired: Desired, ledger: Ledger, about: Me, nodes: tuple[Node, ...] = (a_node("a"), a_node("b"))
) -> bool:
    return kinds(planned(desired, ledger, about, nodes)) == ["Purged"]


def test_files_are_purged_once_the_retention_is_over() -> None:
    desired = without_file()
    assert not may_purge(desired, deleted(a_run(1, "detect"), days=6.9), seeing())
    assert may_purge(desired, deleted(a_run(1, "detect"), days=7), seeing())
    assert not may_purge(replace(desired, site=Site(retention=2 * WEEK)), deleted(days=7), seeing())


def test_without_retention_files_are_purged_at_once() -> None:
    """No clock is asked, so none can be wrong."""
    about = replace(seeing(), share_time=None)
    assert may_purge(without_file(site=AT_ONCE), deleted(), about)
    assert not may_purge(without_file(), deleted(days=70), about), "the share's clock is not known"


def test_a_purge_says_where_a_namesake_goes_on() -> None:
    [record] = records(planned(without_file(site=AT_ONCE), deleted(a_run(1, "detect"), a_run(2, "track"))))
    assert isinstance(record, Purged)
    assert (record.number, record.last_run) == (5, 2)


CONTAINER = a_container(a_key(a_run(1, "detect", a_claim(), aborted())), ContainerState.EXITED)


@pytest.mark.parametrize(
    ("about", "nodes", "expected"),
    [
        pytest.param(seeing(source_asked=None), ("a",), False, id="git is out of sight: the file may be back"),
        pytest.param(seeing(engine_answers=False), ("a",), False, id="the engine is silent"),
        pytest.param(
            seeing(containers=(CONTAINER,), followed=frozenset({CONTAINER.key})), ("a",), False, id="it stops"
        ),
        pytest.param(seeing(starting=frozenset({CONTAINER.key})), ("a",), False, id="it is being prepared"),
        pytest.param(seeing(name="b"), ("a", "b"), False, id="its claimant lives and has not said so"),
        pytest.param(seeing(name="b"), ("b",), True, id="its claimant is gone"),
        pytest.param(seeing(), ("a", "b"), True, id="the claimant itself"),
    ],
)
def test_files_stay_while_something_may_still_run_or_be_restored(
    about: Me, nodes: Sequence[str], expected: bool
) -> None:
    ledger = deleted(a_run(1, "detect", a_claim(), aborted()))
    made = tuple(a_node(name) for name in nodes)
    assert may_purge(without_file(site=AT_ONCE), ledger, about, made) is expected


def test_what_git_said_before_the_time_was_over_is_no_leave_to_purge() -> None:
    """A machine slept through the retention, and people put the file back meanwhile: it has not heard of that yet."""
    awake = replace(seeing(), monotonic=2000.0)
    first = planned(without_file(), deleted(days=8), awake)
    assert not first.actions
    [ripe] = first.situations
    for asked, expected in ((1999.0, []), (2001.0, ["Purged"])):
        later = replace(awake, monotonic=2005.0, since={ripe: 2000.0}, source_asked=asked)
        assert kinds(planned(without_file(), deleted(days=8), later)) == expected


def test_a_run_that_ended_by_itself_keeps_nobody_waiting() -> None:
    assert may_purge(without_file(site=AT_ONCE), deleted(a_run(1, "detect", a_claim(), done())), seeing(name="b"))


def test_a_node_with_an_older_view_purges_nothing() -> None:
    """What it reads of git is older than the deletion, so it can't know whether the file is back."""
    behind = me(contained=frozenset({COMMIT}), share_time=NOW)
    assert not planned(without_file(commit=COMMIT, site=AT_ONCE), deleted(), behind).actions
    assert not planned(a_desired(site=AT_ONCE), deleted(), behind).actions


def test_purged_and_restored_compete_for_one_number() -> None:
    """Whichever stands there decides: after RESTORED nobody touches a file."""
    ledger = deleted(days=8)
    [purged] = records(planned(without_file(), ledger))
    [restored] = records(planned(a_desired(commit=NEWER), ledger, seeing(NEWER)))
    assert isinstance(purged, Purged)
    assert isinstance(restored, Restored)
    assert purged.number == restored.number
    late = planned(without_file(), then(ledger, restored))
    assert [type(action) for action in late.actions] == []
    assert late.waiting[CROSSING].because == "SourceBehind"


@pytest.mark.parametrize("desired", [without_file(), a_desired(commit=NEWER)], ids=["gone", "a namesake is there"])
def test_whoever_sees_a_purge_finishes_it(desired: Desired) -> None:
    """Also a node that knows nothing of the commit, and before a namesake gets anything."""
    ledger = then(deleted(a_run(1, "detect")), Purged(**header(4), commit=GONE, last_run=RunNumber(1)))
    for about in (seeing(NEWER), me(contained=frozenset())):
        todo = planned(desired, ledger, about)
        assert [type(action) for action in todo.actions] == [Purge]
        assert todo.waiting[CROSSING].because == "Purging"


# --- a namesake ---

RETIRED = Retired(record=RecordNumber(12), run=RunNumber(7), commit=GONE)
AFTER_PURGE = Ledger(share=SHARE, projects={CROSSING: ProjectHistory(retired=RETIRED)})


def test_a_namesake_continues_above_the_numbers_of_the_purged_project() -> None:
    world = World(a_desired(commit=NEWER), (a_node("a"),), AFTER_PURGE)
    first = planned(world.desired, world.ledger, seeing(NEWER))
    [record] = records(first)
    assert isinstance(record, DesiredSeen)
    assert record.number == 13
    world.carry_out(A, first.actions)
    [action] = planned(world.desired, world.ledger, seeing(NEWER)).actions
    assert isinstance(action, CreateRun)
    assert (action.record.number, action.record.run, action.record.base) == (14, 8, None)


def test_a_namesake_is_a_new_project_to_which_nothing_has_happened_yet() -> None:
    """``after`` is left out, as in any project in which nothing ran; the old life's numbers ask for nothing."""
    ledger = replace(AFTER_PURGE, projects={CROSSING: ProjectHistory(retired=RETIRED, records=(a_seen(13),))})

    def first_stage(project: Project) -> str:
        todo = planned(a_desired(project), ledger)
        [created] = [action.record for action in todo.actions if isinstance(action, CreateRun)]
        return created.stage

    assert first_stage(a_project(next=a_next("report"))) == "report"
    assert first_stage(a_project(next=a_next("report", 7))) == "detect"


def test_an_old_view_brings_no_purged_project_back_to_life() -> None:
    """It still reads the file; the purge's commit, kept with the last numbers, tells that the view is older."""
    todo = planned(a_desired(), AFTER_PURGE, me(contained=frozenset({COMMIT})))
    assert not todo.actions
    assert todo.waiting[CROSSING].because == "SourceBehind"


def test_a_purged_project_is_no_longer_told_about() -> None:
    desired = without_file()
    assert not planned(desired, AFTER_PURGE).waiting
    assert report(desired, AFTER_PURGE, (), branch="main").projects == ()


# --- many at once ---

FLIGHTS = tuple(ProjectName(f"flight-{number}") for number in range(9))


def fleet(
    kept: Iterable[ProjectName], *, live: Sequence[ProjectName] = FLIGHTS, **fields: object
) -> tuple[Desired, Ledger]:
    """Everything below ``live`` is recorded; only ``kept`` still has a file."""
    names = set(kept)
    wanted = [a_project(name) for name in names]
    removed = {name: GONE for name in live if name not in names}
    desired = replace(a_desired(*wanted), **{"commit": GONE, "removed": removed, **fields})  # type: ignore[arg-type]  # named by tests
    desired = desired if wanted else replace(desired, projects={})
    return desired, Ledger(share=SHARE, projects={name: a_history(seen=(a_seen(),)) for name in live})


@pytest.mark.parametrize(
    ("live", "gone", "waits"),
    [
        (1, 1, False),
        (2, 1, False),
        (2, 2, True),
        (3, 2, False),
        (5, 2, False),
        (5, 3, True),
        (9, 3, False),
        (9, 4, True),
    ],
)
def test_more_than_a_third_from_three_on_or_all_of_several_wait(live: int, gone: int, waits: bool) -> None:
    """Small sites stay usable: one or two projects go without a question, unless they are everything."""
    names = FLIGHTS[:live]
    desired, ledger = fleet(names[gone:], live=names)
    assert bool(unconfirmed(desired, ledger)) is waits
    published = kinds(planned(desired, ledger)).count("Deleted")
    assert published == (0 if waits else gone)


def test_an_unconfirmed_deletion_lets_runs_go_on_and_starts_nothing() -> None:
    desired, ledger = fleet([])
    name = FLIGHTS[0]
    running = replace(ledger, projects={**ledger.projects, name: a_history(a_run(1, "detect", a_claim()))})
    todo = planned(desired, running)
    assert [(action.project, type(action)) for action in todo.actions] == [(name, StartContainer)]
    waiting = todo.waiting[FLIGHTS[1]]
    assert (waiting.phase, waiting.because) == (ProjectPhase.AWAITING_INPUT, "DeletionUnconfirmed")
    assert f'confirm_deletion: "{GONE[:12]}"' in waiting.message
    status = report(desired, running, (), branch="main")
    [told] = [one for one in status.conditions if one.type == "DeletionUnconfirmed"]
    assert f'confirm_deletion: "{GONE[:12]}"' in told.message
    assert {project.phase for project in status.projects} == {ProjectPhase.RUNNING, ProjectPhase.AWAITING_INPUT}


def test_a_node_that_lags_behind_a_mass_deletion_and_its_undoing_deletes_none() -> None:
    """Those that have been recorded anew since are no proof that the others stayed away."""
    desired, ledger = fleet([])
    anew = {name: ProjectHistory(records=(a_seen(1), a_seen(2, commit=NEWER))) for name in FLIGHTS[:7]}
    back = replace(ledger, projects={**ledger.projects, **anew})
    todo = planned(desired, back)
    assert not todo.actions
    assert {waiting.because for waiting in todo.waiting.values()} == {"SourceBehind", "DeletionUnconfirmed"}


def confirming(desired: Desired, commit: str) -> Desired:
    return replace(desired, commit=NEWER, site=Site(confirm_deletion=commit))


def test_a_confirmed_deletion_happens_also_after_further_commits_and_after_a_crash() -> None:
    desired, ledger = fleet([])
    confirmed = confirming(desired, GONE[:12])
    todo = planned(confirmed, ledger, seeing(NEWER))
    assert kinds(todo) == ["Deleted"] * 9
    world = World(confirmed, (a_node("a"),), ledger)
    world.carry_out(A, todo.actions[:2])
    assert kinds(planned(confirmed, world.ledger, seeing(NEWER))) == ["Deleted"] * 7


def test_one_confirmation_covers_what_was_gone_by_then_and_nothing_later() -> None:
    """Several commits may have taken the files away: the newest of them is printed, and an older one is not enough."""
    later = Commit("f" * 40)
    removed = {FLIGHTS[8]: later, **dict.fromkeys(FLIGHTS[:8], GONE)}  # newest first
    desired, ledger = fleet([], removed=removed)
    assert f'"{later[:12]}"' in planned(desired, ledger).waiting[FLIGHTS[0]].message
    assert unconfirmed(confirming(desired, GONE[:12]), ledger) == {FLIGHTS[8]}
    assert not unconfirmed(confirming(desired, later[:12]), ledger)


def test_a_stale_confirmation_confirms_no_later_deletion() -> None:
    """The files were put back and are gone again, by another commit."""
    desired, ledger = fleet([], removed=dict.fromkeys(FLIGHTS, Commit("f" * 40)))
    assert len(unconfirmed(confirming(desired, GONE[:12]), ledger)) == 9


def test_what_a_rewritten_history_never_had_is_confirmed_by_its_head() -> None:
    desired, ledger = fleet([], removed={})
    accepted = RewriteAccepted(**header(1), head=NEWER)
    rewritten = replace(ledger, site=(accepted,))
    assert f'"{NEWER[:12]}"' in planned(desired, rewritten).waiting[FLIGHTS[0]].message
    assert not unconfirmed(confirming(desired, NEWER[:12]), rewritten)
    assert unconfirmed(confirming(desired, GONE[:12]), rewritten)


def test_projects_that_are_newer_than_a_nodes_view_do_not_count_as_deleted() -> None:
    desired, ledger = fleet([])
    newer = {name: a_history(seen=(a_seen(commit=NEWER),)) for name in FLIGHTS}
    todo = planned(desired, replace(ledger, projects=newer))
    assert {waiting.because for waiting in todo.waiting.values()} == {"SourceBehind"}


# --- whole lives ---


def test_a_deleted_project_ends_without_anything_left() -> None:
    """From a running stage to nothing: stopped, aborted, purged, emptied."""
    world = World(a_desired(), (a_node("a"), a_node("b")))
    for _ in range(3):
        for node in world.nodes:
            world.carry_out(node.name, world.plan(node.name).actions)
    assert any(machine.containers for machine in world.machines.values())
    world.desired = replace(world.desired, projects={}, site=AT_ONCE)
    world.settle()
    assert world.ledger.history(CROSSING).records == ()
    assert not any(machine.containers for machine in world.machines.values())
    assert world.ledger.remains == ()


def test_an_aborted_run_of_a_deleted_project_was_aborted_by_the_deletion() -> None:
    world = World(without_file(), (a_node("a"),), deleted(a_run(1, "detect", a_claim())))
    world.carry_out(A, plan(world.desired, world.ledger, world.nodes, seeing()).actions)
    run = world.ledger.history(CROSSING).runs[0]
    assert run.phase is RunPhase.ABORTED
    assert isinstance(run.records[0], Claim)


# --- nodes that were away while a project was purged ---


@pytest.mark.parametrize(
    ("state", "expected"), [(ContainerState.RUNNING, StopContainer), (ContainerState.EXITED, RemoveContainer)]
)
def test_a_node_that_comes_back_ends_what_it_ran_for_a_project_that_was_purged(
    state: ContainerState, expected: type
) -> None:
    """Nobody waited for it, and no record of the run is left: it would hold its devices, or lie there, for ever."""
    container = a_container(a_key(a_run(2, "track", a_claim())), state)
    [action] = planned(without_file(), purged_long_ago(last_run=2), seeing(containers=(container,))).actions
    assert isinstance(action, expected)
    assert action.because == "Purged"


def test_a_container_above_the_last_number_that_was_purged_is_nobody_s_to_stop() -> None:
    """It may belong to a namesake whose records a restored share has lost."""
    container = a_container(a_key(a_run(3, "track", a_claim())), ContainerState.RUNNING)
    assert not planned(without_file(), purged_long_ago(last_run=2), seeing(containers=(container,))).actions


def purged_long_ago(*, last_run: int) -> Ledger:
    retired = Retired(record=RecordNumber(9), run=RunNumber(last_run), commit=GONE)
    return Ledger(share=SHARE, projects={CROSSING: ProjectHistory(retired=retired)})
