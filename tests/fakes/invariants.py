"""What must hold of every ledger, whatever people merged and whichever node lagged, froze or died.

Each check takes the ledger and the git history and says nothing, or fails with what is wrong. They look at
records alone, so that they can't share a mistake with the code that decides.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from reconciler.core.desired import Confirm, Pipeline, Project, Then
from reconciler.core.ledger import Ledger, ProjectHistory, Run, RunPhase
from reconciler.core.names import ProjectName
from reconciler.core.records import (
    Aborted,
    Claim,
    Deleted,
    DesiredSeen,
    Done,
    Failed,
    Lost,
    Purged,
    Released,
    Restored,
    RunCreated,
    RunRecord,
)
from reconciler.core.requests import canonical
from tests.fakes.history import History

ENDS = (Done, Failed, Released)
R = TypeVar("R", DesiredSeen, RunCreated)


def check(ledger: Ledger, git: History) -> None:
    for name, history in ledger.projects.items():
        for holds in CHECKS:
            holds(name, history, git)


def records_are_contiguous_and_git_only_moves_forward(_: ProjectName, history: ProjectHistory, git: History) -> None:
    first = history.retired.record + 1 if history.retired else 1
    assert [record.number for record in history.records] == list(range(first, first + len(history.records)))
    before = [history.retired.commit] if history.retired else []
    commits = [git.number(commit) for commit in (*before, *(record.commit for record in history.records))]
    assert commits == sorted(commits), "somebody recorded what an older commit says"
    for run in history.runs:
        assert [record.number for record in run.records] == list(range(1, len(run.records) + 1))


def runs_are_numbered_and_only_the_last_is_open(_: ProjectName, history: ProjectHistory, __: History) -> None:
    first = history.retired.run + 1 if history.retired else 1
    assert [run.number for run in history.runs] == list(range(first, first + len(history.runs)))
    assert all(run.is_final for run in history.runs[:-1]), "a run began while another one was going"


def a_runs_records_obey_the_grammar(_: ProjectName, history: ProjectHistory, __: History) -> None:
    for run in history.runs:
        for before, after in zip((None, *run.records), run.records, strict=False):
            assert _may_follow(before, after), f"{after} after {before}"
        assert run.attempts_used <= run.created.retries_limit + 1, "more attempts than its retries allow"


def _may_follow(before: RunRecord | None, after: RunRecord) -> bool:
    match before:
        case None:
            return isinstance(after, Claim | Aborted)
        case Claim() if isinstance(after, ENDS):
            return before.node == after.node
        case Claim() | Released() | Failed(final=False):
            return isinstance(after, Claim | Aborted | Lost)
        case _:
            return False


def only_listed_codes_and_lost_attempts_are_tried_again(_: ProjectName, history: ProjectHistory, __: History) -> None:
    for run in history.runs:
        again = (record for record in run.records if isinstance(record, Failed) and not record.final)
        assert all(record.exit_code in run.created.retries_exit_codes for record in again)


def runs_follow_from_the_newest_word(name: ProjectName, history: ProjectHistory, git: History) -> None:
    """A run comes from the file that the newest DESIRED before it names, and that file does not pause."""
    for record in _of(RunCreated, history):
        seen = [one for one in _of(DesiredSeen, history) if one.number < record.number]
        project = _project(git, name, record)
        assert seen, "nobody published what the run was made from"
        assert seen[-1].blob == project.blob, "made from another file than the one published last"
        assert not seen[-1].paused, "began while paused"
        assert not project.paused, "its own commit pauses the project"


def requests_start_one_run_each_after_the_one_they_name(
    name: ProjectName, history: ProjectHistory, git: History
) -> None:
    asked = [run.created.request for run in history.runs if run.created.request is not None]
    assert len(asked) == len(set(asked)), "a request was answered twice"
    for before, run in zip((None, *history.runs), history.runs, strict=False):
        if run.created.request is None:
            continue
        request = _project(git, name, run.created).next
        assert request is not None, "nobody asked"
        assert canonical(request) == run.created.request, "made of another request"
        assert (request.stage, request.after) == (run.stage, before.number if before else None)
        assert request.base is None or (run.created.base is not None and run.created.base.run == request.base)


def unasked_runs_follow_a_success_in_order(name: ProjectName, history: ProjectHistory, git: History) -> None:
    for before, run in zip((None, *history.runs), history.runs, strict=False):
        if run.created.request is not None:
            continue
        pipeline = git.at(run.created.commit).pipelines[_project(git, name, run.created).pipeline]
        assert _opens_itself(pipeline, run, history), "passed a gate that nobody opened"
        if before is None:
            assert run.stage == pipeline.stages[0].name
            continue
        assert before.phase is RunPhase.SUCCEEDED, "went on by itself after a failure"
        assert before.created.then is Then.CONTINUE, "went on although asked to stop"
        assert not before.created.is_last, "went on although finished"
        names = [stage.name for stage in pipeline.stages]
        assert names.index(run.stage) == names.index(before.stage) + 1


def _opens_itself(pipeline: Pipeline, run: Run, history: ProjectHistory) -> bool:
    stage = pipeline.stage(run.stage)
    assert stage is not None
    ran_before = any(one.stage == run.stage for one in history.runs if one.number < run.number)
    return stage.confirm is Confirm.NEVER or (stage.confirm is Confirm.ONCE and ran_before)


def required_environment_is_there(name: ProjectName, history: ProjectHistory, git: History) -> None:
    for run in history.runs:
        pipeline = git.at(run.created.commit).pipelines[_project(git, name, run.created).pipeline]
        stage = pipeline.stage(run.stage)
        assert stage is not None
        assert set(stage.requires_environment) <= set(run.created.environment)


def only_the_run_that_a_commit_names_is_aborted(name: ProjectName, history: ProjectHistory, git: History) -> None:
    """Or all of them: where a commit deletes the project."""
    for run in history.runs:
        if isinstance(run.last, Aborted):
            project = git.at(run.last.commit).projects.get(name)
            assert project is None or project.abort == run.number


def a_deleted_project_rests(name: ProjectName, history: ProjectHistory, git: History) -> None:
    """Between DELETED and RESTORED nothing is begun, and each of them is true of its commit."""
    before: Deleted | Restored | Purged | None = None
    for record in history.records:
        match record:
            case Deleted():
                assert before is None or isinstance(before, Restored)
                assert name not in git.at(record.commit).projects, "deleted although its file is there"
            case Restored():
                assert isinstance(before, Deleted)
                assert name in git.at(record.commit).projects, "restored without a file"
            case Purged():
                assert isinstance(before, Deleted)
            case _:
                assert before is None or isinstance(before, Restored), "went on although deleted"
        before = record if isinstance(record, Deleted | Restored | Purged) else before


def _project(git: History, name: ProjectName, record: RunCreated) -> Project:
    project = git.at(record.commit).projects.get(name)
    assert project is not None, "its commit has no such project"
    return project


def _of(kind: type[R], history: ProjectHistory) -> Iterable[R]:
    return (record for record in history.records if isinstance(record, kind))


CHECKS: tuple[Callable[[ProjectName, ProjectHistory, History], None], ...] = (
    records_are_contiguous_and_git_only_moves_forward,
    runs_are_numbered_and_only_the_last_is_open,
    a_runs_records_obey_the_grammar,
    only_listed_codes_and_lost_attempts_are_tried_again,
    runs_follow_from_the_newest_word,
    requests_start_one_run_each_after_the_one_they_name,
    unasked_runs_follow_a_success_in_order,
    required_environment_is_there,
    only_the_run_that_a_commit_names_is_aborted,
    a_deleted_project_rests,
)
