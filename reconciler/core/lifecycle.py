"""The end of a project: its file leaves git, its runs stop, its files go when the retention is over.

Deletion is a level like ``paused``: it holds from its DELETED record on, also against a node with an older view, and
a file that is back undoes it (RESTORED) until PURGED stands. Only that a file is *gone* counts: one that is broken,
doubled, or lies where nobody reads it deletes nothing, and many that go at once wait for a person's word.
Why each rule is as it is: docs/decisions/0009-deleting-projects.md.
"""

from collections.abc import Set
from datetime import timedelta

from reconciler.core.actions import PublishProject, PublishRun, Purge, RemoveRemains
from reconciler.core.decide import Wait, purging, source_behind
from reconciler.core.desired import Desired, Project
from reconciler.core.draft import Draft
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.names import Commit, NodeName, ProjectName
from reconciler.core.problems import Problem
from reconciler.core.records import Aborted, Deleted, Outcome, Purged, Restored
from reconciler.core.status import Condition, ProjectPhase, condition
from reconciler.core.supervise import supervise

SHORT = 12  # characters of a commit that people read and write
MANY = 3
"""So many projects, and more than a third of all, are not deleted at once without a person's word."""


def known_projects(desired: Desired, ledger: Ledger) -> set[ProjectName]:
    """All that people ask for or that has records; of what was purged nothing is told any more."""
    recorded = {name for name, history in ledger.projects.items() if history.records}
    return {*desired.projects, *recorded, *ledger.unreadable}


# --- what a missing file means -------------------------------------------------------------------


def obstacle(desired: Desired, name: ProjectName) -> Problem | None:
    """Something in git that may be the project's file and can't be used: until that is clear nothing is deleted."""
    return next((problem for problem in desired.problems if _may_hold(problem.file, name)), None)


def _may_hold(path: str, name: ProjectName) -> bool:
    folder, file = path.split("/", 1)[0], path.rsplit("/", 1)[-1]
    if not file.endswith((".yaml", ".yml")):  # a link or a submodule where a folder should be: who knows what is in it
        return folder == "projects"
    return folder not in ("pipelines", "nodes") and file.rsplit(".", 1)[0] == name


def unconfirmed(desired: Desired, ledger: Ledger, contained: Set[Commit] | None = None) -> frozenset[ProjectName]:
    """Projects whose files went with many others and whose deletion nobody has confirmed.

    ``contained`` as in ``Me``: of what our view is too old for nothing is said, yet it counts, for many may be back
    by now. None: we know of no newer view.
    """
    if ledger.projects.keys() <= desired.projects.keys():
        return frozenset()
    live = {name for name, history in ledger.projects.items() if history.records and not history.is_deleted}
    missing = {name for name in live.difference(desired.projects) if obstacle(desired, name) is None}
    if not are_many(len(missing), len(live)):
        return frozenset()
    gone = {name for name in missing if contained is None or ledger.history(name).last_commit in contained}
    return frozenset(gone - _confirmed(desired, ledger, gone))


def are_many(gone: int, live: int) -> bool:
    """Too many of all projects to be deleted at once without a person's word?"""
    return (gone >= MANY and 3 * gone > live) or (gone >= 2 and gone == live)


def _confirmed(desired: Desired, ledger: Ledger, gone: Set[ProjectName]) -> set[ProjectName]:
    """Those whose files were gone at the commit that ``confirm_deletion`` names, and have not been back since."""
    asked = desired.site.confirm_deletion
    if asked is None:
        return set()
    removed = list(desired.removed.items())  # newest first
    named = next((n for n, (_, commit) in enumerate(removed) if commit.startswith(asked)), len(removed))
    found = {name for name, _ in removed[named:]}
    if ledger.site and ledger.site[-1].head.startswith(asked):  # lost with the history that was rewritten
        found |= {name for name in gone if name not in desired.removed}
    return found


def _removed_by(desired: Desired, ledger: Ledger, names: Set[ProjectName]) -> Commit:
    """The newest commit that took one of these files away: naming it confirms that all of them are to go."""
    commits = (commit for name, commit in desired.removed.items() if name in names)
    return next(commits, ledger.site[-1].head if ledger.site else desired.commit)


def confirmation_line(desired: Desired, ledger: Ledger, names: Set[ProjectName]) -> str:
    """What a person writes into winslow.yaml if these deletions are meant."""
    return f'confirm_deletion: "{_removed_by(desired, ledger, names)[:SHORT]}"'


def deletion_conditions(desired: Desired, ledger: Ledger) -> tuple[Condition, ...]:
    """Of the site: many projects' files went at once."""
    names = unconfirmed(desired, ledger)
    if not names:
        return ()
    some = ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "")
    return (
        condition(
            "DeletionUnconfirmed",
            f"the files of {len(names)} projects are gone from git ({some}); none of them is deleted until somebody "
            f"writes in winslow.yaml: {confirmation_line(desired, ledger, names)} (or puts the files back)",
        ),
    )


def absent(desired: Desired, ledger: Ledger, name: ProjectName, held: Set[ProjectName]) -> Wait:
    """What to say of a project that has records and no file. ``held`` are the ``unconfirmed`` ones."""
    history = ledger.history(name)
    if history.is_purged:
        return purging(name)
    if isinstance(deletion := history.lifecycle, Deleted):
        return _deleted(desired, name, history, deletion)
    if found := obstacle(desired, name):
        return Wait(phase=ProjectPhase.INVALID, reason="FileBroken", message=f"{found} (until then nothing is deleted)")
    if name in held:
        return Wait(
            phase=ProjectPhase.AWAITING_INPUT,
            reason="DeletionUnconfirmed",
            message=f"its file is gone from git, with those of {len(held) - 1} more: nothing new starts; to delete "
            f"them write in winslow.yaml: {confirmation_line(desired, ledger, held)}, else put the files back",
        )
    return Wait(
        phase=ProjectPhase.PAUSED,
        reason="FileDeleted",
        message=f"{name}.yaml is gone from git: nothing new starts, and a node is about to record the deletion",
    )


def _deleted(desired: Desired, name: ProjectName, history: ProjectHistory, deletion: Deleted) -> Wait:
    by = desired.removed.get(name, deletion.commit)[:SHORT]
    run = history.last_run
    stops = f"; run {run.number} ({run.stage}) is aborted" if run is not None and not run.is_final else ""
    keeper = _keeper(run) if run is not None else None
    after = f", once {keeper} no longer runs anything of run {run.number}" if run is not None and keeper else ""
    return Wait(
        phase=ProjectPhase.DELETING,
        reason="Deleted",
        message=f"{name}.yaml is gone from git{stops}; its files on the share are removed "
        f"{_when(history, desired.site.retention)}{after}. To get it back: winslow restore {name}, "
        f"or put the file back (git revert {by})",
    )


def _when(history: ProjectHistory, retention: timedelta) -> str:
    if not retention:
        return "now"
    if history.deleted_at is None:
        return "when the site's retention is over"
    return f"after {history.deleted_at + retention:%Y-%m-%d %H:%M} UTC"


# --- what is done about it -----------------------------------------------------------------------


def plan_absent(draft: Draft, name: ProjectName, held: Set[ProjectName]) -> None:
    """Nobody asks for this project any more."""
    history = draft.ledger.history(name)
    last = history.last_run
    is_open = last is not None and not last.is_final
    draft.wait(name, absent(draft.desired, draft.ledger, name, held))
    if history.is_deleted:
        _plan_end(draft, name, history)
    elif draft.is_behind(history):
        draft.wait(name, source_behind(history))
    elif name not in held and obstacle(draft.desired, name) is None:
        record = Deleted(**draft.header(history.next_number), commit=draft.desired.commit)
        draft.actions.append(PublishProject(project=name, record=record, because="FileDeleted"))
        return
    if last is not None and is_open and not history.is_deleted:
        supervise(draft, name, None, last)


def plan_return(draft: Draft, project: Project, history: ProjectHistory) -> None:
    """The file of a deleted project is there, in a view that may be older than the deletion."""
    if history.is_purged:
        draft.wait(project.id, purging(project.id))
        _plan_end(draft, project.id, history)
    elif draft.is_behind(history):
        draft.wait(project.id, source_behind(history))
        _abort(draft, project.id, history)
    else:
        record = Restored(**draft.header(history.next_number), commit=draft.desired.commit)
        draft.actions.append(PublishProject(project=project.id, record=record, because="FileRestored"))


def plan_remains(draft: Draft) -> None:
    """Whatever a crash left: directories that were taken away and still hold files."""
    for name, number in draft.ledger.remains:
        draft.actions.append(RemoveRemains(project=name, number=number, because="Purged"))


def _plan_end(draft: Draft, name: ProjectName, history: ProjectHistory) -> None:
    """Each step follows from the records alone, so that any node goes on where another one stopped."""
    match history.lifecycle:
        case Purged() as purged:
            draft.actions.append(Purge(project=name, record=purged, because="RetentionOver"))
        case Deleted() if not _abort(draft, name, history) and _may_purge(draft, name, history):
            header = draft.header(history.next_number)
            record = Purged(**header, commit=draft.desired.commit, last_run=history.last_number)
            draft.actions.append(PublishProject(project=name, record=record, because="RetentionOver"))


def _abort(draft: Draft, name: ProjectName, history: ProjectHistory) -> bool:
    """Abort the run that is still open. The DELETED record is enough: no view of git is asked for it."""
    run, deletion = history.last_run, history.lifecycle
    if run is None or run.is_final or not isinstance(deletion, Deleted):
        return False
    record = Aborted(**draft.header(run.next_number), commit=deletion.commit)
    draft.actions.append(PublishRun(project=name, run=run, record=record, because="FileDeleted"))
    return True


def _may_purge(draft: Draft, name: ProjectName, history: ProjectHistory) -> bool:
    """The one step that can't be undone: only with the time over, nothing left to stop, and git asked once more."""
    return (
        not draft.is_behind(history)
        and name not in draft.desired.projects
        and obstacle(draft.desired, name) is None
        and _retention_is_over(draft, history)
        and _has_stopped(draft, name, history)
        and _git_was_asked_since(draft, name, history)
    )


def _git_was_asked_since(draft: Draft, name: ProjectName, history: ProjectHistory) -> bool:
    """Since nothing else stands in the way. A machine that slept through the retention has yet to hear of its end."""
    first_met = draft.me.monotonic - draft.age(f"purge {name}/{history.next_number}")
    return draft.me.source_asked is not None and draft.me.source_asked > first_met


def _retention_is_over(draft: Draft, history: ProjectHistory) -> bool:
    """Both times are the share's: no machine's clock is compared with another's."""
    retention = draft.desired.site.retention
    if not retention:
        return True
    if draft.me.share_time is None or history.deleted_at is None:
        return False
    return draft.me.share_time - history.deleted_at >= retention


def _has_stopped(draft: Draft, name: ProjectName, history: ProjectHistory) -> bool:
    """Does no container of the project run any more? The last claimant alone can tell; a dead one is not waited for.

    Were it wrong, nobody would be harmed: what still runs writes into the directory that was taken away.
    """
    me, run = draft.me, history.last_run
    mine = {*(container.key for container in me.containers), *me.starting}
    if not me.engine_answers or any(key.project == name for key in mine):
        return False
    keeper = _keeper(run) if run is not None else None
    return keeper is None or keeper == me.name or keeper not in draft.live


def _keeper(run: Run) -> NodeName | None:
    """The node that may still have to stop the run's container; None: the program's own end was recorded."""
    claim = run.last_claim
    return None if claim is None or isinstance(run.last, Outcome) else claim.node
