"""Records made anew from what the branch ``observed`` and main's history tell of them.

What a run was to do is not written there: the commit that asked for it says so, and the record is made from it as a
node once did. So secrets stay names. Where that commit is gone, the record says only what was told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.core.decide import StartStage
from reconciler.core.desired import Desired, Next, Project, Secret
from reconciler.core.draft import Draft, Header, Me
from reconciler.core.environment import Setting
from reconciler.core.ledger import Ledger, ProjectHistory, RunPhase
from reconciler.core.names import (
    Blob,
    Commit,
    NodeName,
    PipelineName,
    ProjectName,
    RecordNumber,
    RunNumber,
    ShareId,
    Token,
)
from reconciler.core.records import (
    Aborted,
    Base,
    Claim,
    Done,
    Failed,
    LogPointer,
    Lost,
    Rebuilt,
    Released,
    RunCreated,
    RunRecord,
)
from reconciler.core.requests import canonical
from reconciler.core.start import new_run
from reconciler.core.status import ClaimStatus, ProjectStatus, RunStatus

REBUILDER = NodeName("winslow-rebuild")
"""Stands where a record names the node that wrote it and nobody knows that any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Where the facts come from. ``sign`` draws a record's random token."""

    share: ShareId
    observed: Commit
    commit: Commit  # of main
    at: datetime
    sign: Callable[[], Token]
    wishes: Mapping[Commit, Desired]  # main's files at the commits that runs name, as far as they are still there

    def header(self, number: int, token: str | None = None, *, node: NodeName | None = None) -> Header:
        return Header(
            number=RecordNumber(number),
            token=Token(token) if token else self.sign(),
            share=self.share,
            node=node or REBUILDER,
            at=self.at,
        )

    def unknown(self, number: int, token: str | None = None, lost: tuple[RunNumber, ...] = ()) -> Rebuilt:
        return Rebuilt(**self.header(number, token), observed=self.observed, commit=self.commit, lost=lost)


# --- a project's records ---


def run_created(told: Told, project: ProjectStatus, run: RunStatus, number: int, token: str | None) -> RunCreated:
    header = told.header(number, token, node=run.claims[0].node if run.claims else None)
    if (found := _as_asked(told, project.project, run)) is not None:
        return replace(found, **header, run=run.run, is_last=run.is_last, base=_base(project, run))
    return RunCreated(
        **header,
        run=run.run,
        stage=run.stage,
        commit=Commit(run.commit or told.commit),
        pipeline=_pipeline(project, run),
        pipeline_blob=Blob(""),
        request=run.request,
        image=run.image,
        image_digest=run.image_digest,
        command=run.command,
        process_command=run.process_command,
        environment=_environment(run),
        inputs=run.inputs,
        base=_base(project, run),
        is_last=run.is_last,
    )


def _as_asked(told: Told, name: ProjectName, run: RunStatus) -> RunCreated | None:
    desired = told.wishes.get(Commit(run.commit or ""))
    project = desired.projects.get(name) if desired else None
    if desired is None or project is None or (run.request is not None and _request(project, run) is None):
        return None
    pipeline = desired.pipelines.get(run.pipeline or project.pipeline)
    stage = pipeline.stage(run.stage) if pipeline else None
    if pipeline is None or stage is None:
        return None
    start = StartStage(stage=stage, pipeline=pipeline, request=_request(project, run), base=None)
    me = Me(name=REBUILDER, boot="", incarnation="", runtime="", now=told.at, monotonic=0.0)
    draft = Draft(desired=desired, ledger=Ledger(share=told.share), nodes=(), me=me, used={})
    return new_run(draft, project, ProjectHistory(), start)


def _request(project: Project, run: RunStatus) -> Next | None:
    """A run answers the very request that stood in the file."""
    asked = project.next
    return asked if asked is not None and canonical(asked) == run.request else None


def _environment(run: RunStatus) -> dict[str, Setting]:
    """Secrets by their names, as the record had them."""
    told = run.environment.items()
    values = {name: Secret(run.secrets[name]) if name in run.secrets else value for name, value in told}
    return {name: Setting(value, run.sources.get(name, "observed")) for name, value in values.items()}


def _pipeline(project: ProjectStatus, run: RunStatus) -> PipelineName:
    return run.pipeline or project.pipeline


def _base(project: ProjectStatus, run: RunStatus) -> Base | None:
    of = next((one for one in project.runs if one.run == run.base), None)
    if of is None or run.base_claim is None:
        return None
    return Base(run=of.run, stage=of.stage, claim=RecordNumber(run.base_claim))


# --- a run's records ---


def run_record(told: Told, run: RunStatus, number: int) -> RunRecord:
    """What stood under that number among the run's records, as far as it was told."""
    token = run.token if number == run.record else None
    claim = next((one for one in run.claims if one.record == number), None)
    if claim is not None:
        return _claim(told, claim, token)
    if number != run.record:
        return told.unknown(number)
    return _last(told, run, told.header(number, token, node=run.node))


def _claim(told: Told, claim: ClaimStatus, token: str | None) -> Claim:
    header = told.header(claim.record, token, node=claim.node)
    return replace(
        Claim(**header, because="Restored", boot="", incarnation="", runtime=""),
        at=claim.at,
    )


def _last(told: Told, run: RunStatus, header: Header) -> RunRecord:
    reason, message = run.reason or "Unknown", run.message or ""
    log = LogPointer(path=run.log or "", sha256=run.log_sha256 or "", tail=run.tail)
    match run.phase:
        case RunPhase.SUCCEEDED | RunPhase.FAILED:
            done = Done(
                **header,
                exit_code=run.exit_code,
                started_at=run.started_at,
                ended_at=run.ended_at,
                image_digest=run.image_digest,
                results=run.results,
                log=log if run.log_sha256 else None,
                resources=run.resources,
                inputs=run.input_files,
                gpus=run.gpus,
                versions=run.versions,
                reused=run.reused,
            )
            facts = {name: getattr(done, name) for name in Done.__dataclass_fields__}
            return done if run.phase is RunPhase.SUCCEEDED else Failed(**facts, reason=reason, message=message)
        case RunPhase.ABORTED:
            return Aborted(**header, commit=told.commit)
        case RunPhase.LOST:
            return Lost(**header, reason=reason, message=message)
        case _:  # open, and no claim: given up, or failed and to be tried again
            return Released(**header, reason=reason, message=message)
