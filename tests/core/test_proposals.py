"""Which branches are offered, which are kept or withdrawn, and what a person reads before merging one."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.decide import decide
from reconciler.core.desired import Confirm, Desired, Forge, Next, Requires, Secret, Site, Then
from reconciler.core.entries import MASK
from reconciler.core.environment import Setting
from reconciler.core.ledger import Ledger, Run
from reconciler.core.names import Blob, Commit, RunNumber, StageName
from reconciler.core.proposal_text import described, subject
from reconciler.core.proposals import Proposal, Standing, differences, merge_command, proposals
from reconciler.core.records import LogPointer
from reconciler.core.report import report
from reconciler.core.requests import request_is_due
from reconciler.core.status import ProjectStatus
from tests.fakes.build import (
    CROSSING,
    SHARE,
    a_claim,
    a_desired,
    a_history,
    a_ledger,
    a_next,
    a_node,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    aborted,
    done,
    failed,
    lost,
)

GATED = a_pipeline("detect", a_stage("track", confirm=Confirm.BEFORE), "report")
URL = "https://forge.example/ulm/state"


def gated(**fields: Any) -> Desired:
    return a_desired(a_project(**fields), pipeline=GATED)


def offered(desired: Desired, *runs: Run) -> dict[str, str]:
    return {one.branch: one.line for one in proposals(desired, a_ledger(*runs))}


# --- which are offered ---


def test_a_gate_offers_to_go_on_and_to_do_the_last_stage_again() -> None:
    assert offered(gated(), a_run(1, "detect")) == {
        "proposals/crossing/1-continue": "next: {stage: track, after: 1}",
        "proposals/crossing/1-redo": "next: {stage: detect, after: 1}",
    }


def test_a_gate_before_everything_offers_the_first_stage_only() -> None:
    desired = a_desired(pipeline=a_pipeline(a_stage("detect", confirm=Confirm.BEFORE), "track"))
    assert offered(desired) == {"proposals/crossing/0-continue": "next: {stage: detect}"}


def test_a_project_asked_to_stop_after_a_stage_offers_the_next_one() -> None:
    found = offered(a_desired(), a_run(1, "detect", then=Then.PAUSE))
    assert found["proposals/crossing/1-continue"] == "next: {stage: track, after: 1}"


@pytest.mark.parametrize("end", [failed(), aborted(), lost()])
def test_a_run_that_went_wrong_offers_the_same_stage_once(end: Any) -> None:
    found = offered(a_desired(), a_run(1), a_run(2, "track", a_claim(), end))
    assert found == {"proposals/crossing/2-continue": "next: {stage: track, after: 2}"}


def test_a_misspelt_stage_offers_the_one_that_was_meant() -> None:
    desired = a_desired(a_project(next=a_next("trakc", 1)))
    assert offered(desired, a_run(1))["proposals/crossing/1-continue"] == "next: {stage: track, after: 1}"


def test_where_the_failed_stage_has_left_the_pipeline_the_next_one_is_offered() -> None:
    desired = a_desired(pipeline=a_pipeline("detect", "report"))
    found = offered(desired, a_run(1), a_run(2, "track", a_claim(), failed()))
    assert found == {"proposals/crossing/2-continue": "next: {stage: report, after: 2}"}


def test_a_request_put_right_keeps_what_else_it_says() -> None:
    environment = {"THRESHOLD": "0.4", "KEY": Secret("tracker"), "FRAME_STEP": None}
    asked = a_next("trakc", 1, environment=environment, then=Then.PAUSE)
    proposal = proposals(a_desired(a_project(next=asked)), a_ledger(a_run(1)))[0]
    assert proposal.request == replace(asked, stage=StageName("track"))
    assert list(proposal.fields.items()) == [
        ("stage", "track"),
        ("after", 1),
        ("then", "pause"),
        ("environment", {"THRESHOLD": "0.4", "KEY": {"secret": "tracker"}, "FRAME_STEP": None}),
    ]


def test_a_request_from_a_run_that_is_not_there_is_offered_without_it() -> None:
    desired = a_desired(a_project(next=a_next("track", 1, base=RunNumber(7), then=Then.PAUSE)))
    found = offered(desired, a_run(1))
    assert found["proposals/crossing/1-continue"] == "next: {stage: track, after: 1, then: pause}"


@pytest.mark.parametrize(
    ("desired", "runs"),
    [
        pytest.param(
            a_desired(
                a_project(next=a_next("detect", environment={"HEIGHT": None})),
                pipeline=a_pipeline(a_stage("detect", requires_environment=("HEIGHT",))),
            ),
            (),
            id="a next with a gap to fill",
        ),
        pytest.param(
            a_desired(a_project(paused=True)), (a_run(1, "detect", a_claim(), failed()),), id="failed and paused"
        ),
        pytest.param(gated(paused=True), (a_run(1),), id="paused: a level that would hold whenever it is merged"),
        pytest.param(a_desired(), (a_run(1), a_run(2, "track"), a_run(3, "report", is_last=True)), id="finished"),
        pytest.param(a_desired(), (a_run(1, "detect", a_claim()),), id="running"),
        pytest.param(a_desired(), (a_run(1),), id="about to start"),
        pytest.param(
            a_desired(pipeline=a_pipeline(a_stage("detect", requires_environment=("HEIGHT",)))),
            (),
            id="a person alone knows the value",
        ),
        pytest.param(
            replace(gated(), stale={"projects/crossing.yaml": Commit("d" * 40)}), (a_run(1),), id="its file is broken"
        ),
        pytest.param(replace(gated(), site=Site(proposals=False)), (a_run(1),), id="switched off"),
    ],
)
def test_nothing_is_offered_that_could_surprise(desired: Desired, runs: tuple[Run, ...]) -> None:
    assert offered(desired, *runs) == {}


def test_nothing_is_offered_where_records_cannot_be_read() -> None:
    ledger = Ledger(share=SHARE, unreadable={CROSSING: "torn"})
    assert proposals(a_desired(pipeline=a_pipeline(a_stage("detect", confirm=Confirm.BEFORE))), ledger) == ()


def test_what_was_asked_before_is_offered_with_an_id_of_its_own() -> None:
    """A request made while the run was going did not outlive its failure; the very same words would be stale."""
    spent = a_next("detect", 1)
    seen = a_seen(request=spent, open_run=RunNumber(1))
    ledger = a_ledger(a_run(1, "detect", a_claim(), failed()), seen=seen)
    [proposal] = proposals(a_desired(a_project(next=spent)), ledger)
    assert proposal.line == "next: {stage: detect, after: 1, id: again}"
    assert proposal.fields == {"stage": "detect", "after": 1, "id": "again"}


def merged(desired: Desired, proposal: Proposal) -> Desired:
    fields = {"stage": StageName(proposal.request.stage), "after": proposal.request.after, "id": proposal.request.id}
    return a_desired(a_project(next=Next(**fields)), pipeline=desired.pipelines[GATED.id])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [0, 1])
def test_each_offer_starts_its_stage_now_and_nothing_once_the_project_went_on(kind: int) -> None:
    desired, history = gated(), a_history(a_run(1), seen=(a_seen(),))
    proposal = proposals(desired, a_ledger(a_run(1)))[kind]
    assert request_is_due(proposal.request, history)
    later = a_history(a_run(1), a_run(2, "track"), seen=(a_seen(),))
    decision = decide(merged(desired, proposal), merged(desired, proposal).projects[CROSSING], later)
    assert decision == decide(desired, desired.projects[CROSSING], later)


# --- what stands on the remote ---


def standing(proposal: Proposal, **fields: Any) -> Standing:
    defaults = {"branch": proposal.branch, "commit": Commit("1" * 40), "key": proposal.key}
    return Standing(**{**defaults, **fields})


def wanted() -> tuple[Proposal, ...]:
    return proposals(gated(), a_ledger(a_run(1)))


def test_missing_branches_are_pushed_where_none_is_expected() -> None:
    push, withdraw = differences(wanted(), ())
    assert [(one.proposal, one.expected) for one in push] == [(proposal, None) for proposal in wanted()]
    assert withdraw == ()


def test_a_branch_with_the_right_edit_is_kept_as_it_is() -> None:
    assert differences(wanted(), [standing(one) for one in wanted()]) == ((), ())


@pytest.mark.parametrize("change", [{"key": "of another edit"}, {"is_merged": True}])
def test_an_outdated_branch_is_replaced_from_where_it_was_seen(change: dict[str, Any]) -> None:
    """A branch that is in main already has nothing left to merge."""
    first, second = wanted()
    push, withdraw = differences(wanted(), [standing(first, **change), standing(second)])
    assert [(one.proposal, one.expected) for one in push] == [(first, Commit("1" * 40))]
    assert withdraw == ()


def test_what_nobody_waits_for_is_withdrawn() -> None:
    stands = [standing(one) for one in wanted()]
    assert differences((), stands) == ((), tuple(stands))


@pytest.mark.parametrize("proposed", [True, False])
def test_somebody_elses_commit_is_neither_replaced_nor_removed(proposed: bool) -> None:
    stands = [standing(one, key=None, is_merged=True) for one in wanted()]
    assert differences(wanted() if proposed else (), stands) == ((), ())


def test_a_changed_moved_or_otherwise_asked_file_is_another_edit() -> None:
    [first, _] = wanted()
    others = (
        replace(first, blob=Blob("e" * 40)),
        replace(first, path="projects/new/crossing.yaml"),
        replace(first, request=a_next("track", 1, id="again")),
    )
    assert len({first.key, *(other.key for other in others)}) == 4


# --- what people see ---


def status_of(*runs: Run, forge: Forge | None = None, desired: Desired | None = None) -> ProjectStatus:
    found = replace(desired or gated(), site=Site(forge=forge))
    [project] = report(found, a_ledger(*runs), [a_node()], branch="main").projects
    return project


@pytest.mark.parametrize(
    ("forge", "url"),
    [
        (None, None),
        (
            Forge(kind="gitlab", url=URL),
            f"{URL}/-/merge_requests/new?merge_request%5Bsource_branch%5D=proposals%2Fcrossing%2F1-continue"
            "&merge_request%5Btarget_branch%5D=main",
        ),
        (Forge(kind="github", url=URL), f"{URL}/compare/main...proposals/crossing/1-continue"),
        (Forge(kind="forgejo", url=URL), f"{URL}/compare/main...proposals/crossing/1-continue"),
    ],
)
def test_the_status_names_branch_and_page_of_each_offer(forge: Forge | None, url: str | None) -> None:
    first, second = status_of(a_run(1), forge=forge).offers
    assert (first.branch, first.title, first.url) == (
        "proposals/crossing/1-continue",
        "Start stage 'track' after run 1",
        url,
    )
    assert second.title == "Start stage 'detect' again after run 1"
    assert merge_command(first) == "git pull && git merge --no-edit origin/proposals/crossing/1-continue && git push"


def test_no_offer_is_shown_where_none_is_made() -> None:
    assert status_of(a_run(1, "detect", a_claim())).offers == ()
    desired = replace(gated(), site=Site(proposals=False))
    [project] = report(desired, a_ledger(a_run(1)), [a_node()], branch="main").projects
    assert project.offers == ()


def text(*runs: Run, **fields: Any) -> str:
    proposal = proposals(gated(), a_ledger(*runs))[0]
    return described(proposal, status_of(*runs, **fields))


def test_a_person_reads_what_happened_where_it_lies_and_what_merging_does() -> None:
    log = LogPointer(path="projects/crossing/runs/0001-detect/1/log.jsonl", tail=("/merge", "100 vehicles\x1b[0m"))
    end = done(results={"vehicles": "100"}, log=log, started_at=a_claim(1).at, ended_at=a_claim(62).at)
    found = text(a_run(1, "detect", a_claim(), end))
    assert "stage 'track' starts only when somebody asks for it" in found
    assert "Run 1 (detect) succeeded on a after 0:01:01, exit code 0." in found
    assert "\n    vehicles=100\n" in found
    assert "\n    workspace projects/crossing/runs/0001-detect/1/workspace\n" in found
    assert "\n    /merge\n    100 vehicles\ufffd[0m\n" in found, "in a block of code, where no forge obeys it"
    assert "`next: {stage: track, after: 1}` into `projects/crossing.yaml`" in found
    assert "Late or twice it does no harm: once run 1 is no longer the last one, it starts nothing" in found
    assert subject(proposals(gated(), a_ledger(a_run(1)))[0]) == "crossing: start stage 'track' after run 1"


def test_a_secret_stands_in_no_proposal() -> None:
    run = a_run(1, environment={"KEY": Setting(Secret("tracker"), "winslow.yaml")})
    assert "tracker" not in text(run)
    assert MASK not in text(run)


def test_a_failed_run_says_why() -> None:
    found = text(a_run(1, "detect", a_claim(), failed(message="exited with code 1\n/close")))
    assert found.startswith("run 1 (detect) failed: exited with code 1 /close\n")
    assert "Run 1 (detect) failed on a, exit code 1." in found


def test_nothing_has_run_yet() -> None:
    desired = a_desired(pipeline=a_pipeline(a_stage("detect", confirm=Confirm.BEFORE)))
    [proposal] = proposals(desired, a_ledger())
    found = described(proposal, status_of(desired=desired))
    assert "once anything has run, it starts nothing" in found
    assert proposal.title == "Start stage 'detect'"


def test_waiting_for_what_no_request_changes_offers_nothing() -> None:
    """No node fits: only another pipeline or another node helps."""
    project = status_of(desired=a_desired(pipeline=a_pipeline(a_stage("detect", requires=Requires(cpus=999.0)))))
    assert project.waiting_for is not None
    assert (project.waiting_for.reason, project.offers) == ("NoNodeFits", ())
