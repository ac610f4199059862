"""What people are told of: which transitions, under which id, and whom they concern."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.desired import Command, Confirm, Desired, Forge, Notification, Site
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.names import Blob, PipelineName, ProjectName, ShareId, Token
from reconciler.core.problems import Problem
from reconciler.core.report import report
from reconciler.core.status import Offer, ProjectPhase, ProjectStatus, Status, WaitingFor
from reconciler.core.transitions import Transition, concerns, transitions
from tests.fakes.build import (
    CROSSING,
    SHARE,
    B,
    a_claim,
    a_created,
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
    header,
    lost,
)

GATED = a_pipeline("detect", a_stage("report", confirm=Confirm.BEFORE))


def told(desired: Desired, ledger: Ledger) -> tuple[Transition, ...]:
    return transitions(desired, ledger, report(desired, ledger, (a_node(),), branch="main"))


def a_failed_run(number: int = 1, token: str = "", **fields: Any) -> Run:
    end = replace(failed(**fields), token=Token(token or f"end-{number}"))
    return a_run(number, "detect", a_claim(), end)


def test_a_failure_says_what_where_and_how_to_go_on() -> None:
    """Everything that a mail needs."""
    desired = a_desired(a_project(tags=("night",)), site=Site(forge=Forge(kind="gitlab", url="https://git.example/s")))
    (found,) = told(desired, a_ledger(a_failed_run()))
    assert (found.project, found.phase, found.reason) == (CROSSING, ProjectPhase.FAILED, "ExitCode")
    assert found.message == "run 1 (detect) failed: exited with code 1"
    assert (found.run, found.stage, found.node, found.exit_code) == (1, "detect", "a", 1)
    assert (found.name, found.tags, found.path) == ("Crossing", ("night",), "projects/crossing.yaml")
    assert found.edit == "next: {stage: detect, after: 1}"
    assert found.url == "https://git.example/s/-/edit/main/projects/crossing.yaml"
    assert (found.repository, found.at, found.stands) == ("https://git.example/s", header(2)["at"], True)


def test_a_failure_that_nobody_saw_is_told_after_somebody_went_on() -> None:
    """The publisher was away while it failed, was resumed and finished: still told, without anything to do."""
    again = a_run(2, "detect", a_claim(), replace(done(), token=Token("end-2")))
    found, *_ = told(a_desired(pipeline=a_pipeline("detect")), a_ledger(a_failed_run(), again))
    assert (found.phase, found.run, found.edit, found.url, found.offers) == (ProjectPhase.FAILED, 1, None, None, ())
    assert not found.stands


def test_a_second_failure_is_another_transition() -> None:
    """The same reason, another record."""
    first, second = told(a_desired(), a_ledger(a_failed_run(1), a_failed_run(2)))
    assert (first.run, second.run) == (1, 2)
    assert first.id != second.id


@pytest.mark.parametrize("end", [lost(), failed(reason="TimedOut")])
def test_every_bad_end_is_told(end: Any) -> None:
    (found,) = told(a_desired(), a_ledger(a_run(1, "detect", a_claim(), end)))
    assert (found.phase, found.reason) == (ProjectPhase.FAILED, end.reason)


def test_an_abort_is_told_until_somebody_has_gone_on() -> None:
    """Somebody else may wonder why it stands still; after the next run nobody does."""
    run = a_run(1, "detect", a_claim(), aborted())
    (found,) = told(a_desired(), a_ledger(run))
    assert (found.reason, found.message) == ("Aborted", "run 1 (detect) was aborted")
    assert told(a_desired(), a_ledger(run, a_run(2, "detect", a_claim()))) == ()


def test_a_failure_that_is_tried_again_is_no_news() -> None:
    assert told(a_desired(), a_ledger(a_failed_run(final=False))) == ()


def test_what_runs_waits_for_a_node_or_is_paused_is_no_news() -> None:
    assert told(a_desired(), a_ledger(a_run(1, "detect", a_claim()))) == ()
    assert told(a_desired(), a_ledger()) == ()
    assert told(a_desired(a_project(paused=True)), a_ledger()) == ()


def test_a_gate_is_told_once_for_the_run_before_it() -> None:
    """Whatever people change in the file meanwhile, it is the same question."""
    ledger = a_ledger(a_run())
    (found,) = told(a_desired(pipeline=GATED), ledger)
    assert (found.phase, found.reason) == (ProjectPhase.AWAITING_INPUT, "ConfirmationRequired")
    assert found.edit == "next: {stage: report, after: 1}"
    assert found.stands
    more = (*ledger.projects[CROSSING].records, a_seen(9))
    edited = replace(ledger, projects={CROSSING: replace(ledger.projects[CROSSING], records=more)})
    (later,) = told(a_desired(a_project(tags=("new",), blob=Blob("other")), pipeline=GATED), edited)
    assert later.id == found.id


def test_a_gate_before_the_first_run_waits_for_the_record_of_the_file() -> None:
    """Before that there is nothing that every node would make the same id of."""
    desired = a_desired(pipeline=a_pipeline(a_stage(confirm=Confirm.BEFORE)))
    assert told(desired, Ledger(share=SHARE)) == ()
    (found,) = told(desired, a_ledger())
    assert (found.reason, found.run, found.at) == ("ConfirmationRequired", None, header(1)["at"])


def test_another_unknown_stage_is_another_question() -> None:
    """Nothing has run in between, but somebody has tried and failed again."""
    ids = {
        told(a_desired(a_project(next=a_next(stage, 1))), a_ledger(a_failed_run()))[-1].id
        for stage in ("detct", "trck", "trck")
    }
    assert len(ids) == 2


def test_success_is_told_once_whatever_the_status_says_besides() -> None:
    """A stale request and a grown pipeline don't finish it a second time."""
    run, done_before = a_run(1, "detect", is_last=True), a_pipeline("detect")
    plain = told(a_desired(pipeline=done_before), a_ledger(run))
    stale = told(a_desired(a_project(next=a_next("detect", 0)), pipeline=done_before), a_ledger(run))
    grown = told(a_desired(pipeline=a_pipeline("detect", "track")), a_ledger(run))
    assert [one.phase for one in (*plain, *stale, *grown)] == [ProjectPhase.SUCCEEDED] * 3
    assert len({one.id for one in (*plain, *stale, *grown)}) == 1


def test_a_broken_new_file_is_told_by_what_is_wrong_with_it() -> None:
    def broken(message: str) -> Transition:
        problem = Problem(file="projects/ulm.yaml", line=1, column=2, message=message)
        (found,) = told(a_desired(problems=(problem,), projects={}), Ledger(share=SHARE))
        return found

    assert (broken("a").phase, broken("a").reason, broken("a").project) == (ProjectPhase.INVALID, "FileBroken", "ulm")
    assert broken("a").id == broken("a").id
    assert broken("a").id != broken("b").id


def test_a_missing_pipeline_is_told_by_the_files_content() -> None:
    """The message lists the pipelines that exist: it changes with every new one."""
    project = a_project(pipeline="nowhere")
    (found,) = told(a_desired(project), a_ledger())
    (other,) = told(a_desired(project, pipeline=a_pipeline(id="more")), a_ledger())
    assert (found.reason, found.message != other.message) == ("PipelineMissing", True)
    assert found.id == other.id
    (edited,) = told(a_desired(replace(project, blob=Blob("other"))), a_ledger())
    assert edited.id != found.id


def test_a_project_whose_file_is_gone_is_nobodys_concern() -> None:
    assert told(a_desired(projects={}), a_ledger(a_failed_run())) == ()


def test_a_deletion_of_many_projects_is_one_question() -> None:
    """A slip of the hand takes three hundred files along: one mail says so, not three hundred."""
    desired, ledger = a_desired(projects={}), Ledger(share=SHARE)
    question = WaitingFor(reason="DeletionUnconfirmed", message="write in winslow.yaml: confirm_deletion: ...")
    gone = [
        ProjectStatus(
            project=ProjectName(name),
            name=name,
            pipeline=PipelineName(""),
            tags=(),
            phase=ProjectPhase.AWAITING_INPUT,
            waiting_for=question,
            conditions=(),
            last_run=None,
            stages=(),
            runs=(),
        )
        for name in ("a", "b", "c")
    ]
    (found,) = transitions(desired, ledger, Status(projects=tuple(gone), nodes=()))
    assert (found.project, found.phase, found.message) == ("a", ProjectPhase.AWAITING_INPUT, question.message)


def test_ids_are_the_same_at_any_time_and_on_any_node() -> None:
    """They hang on the share, the project and the record alone, and serve as names of files."""
    (found,) = told(a_desired(), a_ledger(a_failed_run()))
    later = a_failed_run()
    elsewhere = replace(later, records=tuple(replace(r, at=header(999)["at"], node=B) for r in later.records))
    renamed = a_desired(a_project(name="Other", tags=("x",), blob=Blob("other")))
    assert [one.id for one in told(renamed, a_ledger(elsewhere))] == [found.id]
    other_share = replace(a_ledger(a_failed_run()), share=ShareId("other"))
    assert [one.id for one in told(a_desired(), other_share)] != [found.id]
    assert found.id.isalnum()


def test_projects_are_told_in_the_order_of_time() -> None:
    older = replace(failed(), at=header(1)["at"], token=Token("x"))
    ledger = replace(
        a_ledger(a_failed_run()),
        projects={
            CROSSING: a_history(a_failed_run()),
            a_project("zebra").id: a_history(a_run(1, "detect", a_claim(), older)),
        },
    )
    found = told(a_desired(a_project(), a_project("zebra")), ledger)
    assert [one.project for one in found] == ["zebra", "crossing"]


def test_offers_stand_beside_what_they_answer() -> None:
    """Merging is the whole interaction, also from a mail."""
    desired, ledger = a_desired(), a_ledger(a_failed_run(1), a_failed_run(2))
    status = report(desired, ledger, (), branch="main")
    offer = Offer(branch="proposals/crossing/2-redo", title="Start stage 'detect' after run 2")
    offered = replace(status, projects=tuple(replace(one, offers=(offer,)) for one in status.projects))
    assert [one.offers for one in transitions(desired, ledger, offered)] == [(), (offer,)]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, True),
        ({"tags": ("night", "day")}, True),
        ({"tags": ("day",)}, False),
        ({"phases": ("Failed",)}, True),
        ({"phases": ("Succeeded", "Invalid")}, False),
        ({"phases": ("Failed",), "tags": ("day",)}, False),
    ],
)
def test_an_entry_concerns_its_phases_and_tags(fields: dict[str, Any], wanted: bool) -> None:
    (found,) = told(a_desired(a_project(tags=("night",))), a_ledger(a_failed_run()))
    assert concerns(Notification(name="x", sink=Command(name="x"), **fields), found) is wanted


def test_a_created_run_without_a_claim_is_not_an_end() -> None:
    history = ProjectHistory(records=(a_seen(), a_created()), runs=(Run(created=a_created()),))
    assert told(a_desired(), Ledger(share=SHARE, projects={CROSSING: history})) == ()
