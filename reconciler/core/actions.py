"""What a plan tells the agent to do: values, each saying why. ``apply`` only obeys.

``because`` is one stable word: the log's fact, the condition's reason and the page's text.
Records in actions are complete but for their random token, which is drawn when they are published.
"""

from dataclasses import dataclass

from reconciler.core.containers import Container
from reconciler.core.desired import Pull
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName, RecordNumber, Token
from reconciler.core.records import Claim, ProjectRecord, Purged, RunCreated, RunRecord

UNSIGNED = Token("")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishProject:
    """Publish a record among the project's records."""

    project: ProjectName
    record: ProjectRecord
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveImage:
    """Find out which digest the image has now: the run that is about to be created records it."""

    project: ProjectName
    image: str
    pull: Pull
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareImage:
    """Pull the image of a stage that will probably run here next. A hint: it may fail, and nobody waits for it."""

    project: ProjectName
    image: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRun:
    """Publish RUN and, having won it, the run's first CLAIM."""

    project: ProjectName
    record: RunCreated
    claim: Claim
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRun:
    """Publish a record among the run's records: CLAIM, RELEASED, ABORTED or LOST."""

    project: ProjectName
    run: Run
    record: RunRecord
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContainer:
    """Prepare our claim's directory and start its container."""

    project: ProjectName
    run: Run
    claim: Claim
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowContainer:
    """Write the log of a container of ours that nobody follows yet (it was just found: adopted)."""

    project: ProjectName
    run: Run
    claim: Claim
    container: Container
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRun:
    """Our container has ended and its log is written: publish what became of it."""

    project: ProjectName
    run: Run
    claim: Claim
    container: Container
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopContainer:
    project: ProjectName
    container: Container
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContainer:
    project: ProjectName
    container: Container
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOutput:
    """Copy an accepted run's output to the project's ``output/`` directory."""

    project: ProjectName
    run: Run
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """PURGED stands: take the project's directory away, so that its name is free for a namesake."""

    project: ProjectName
    record: Purged
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRemains:
    """Remove the files of a directory that was taken away."""

    project: ProjectName
    number: RecordNumber  # of its PURGED
    because: str


Action = (
    PublishProject
    | ResolveImage
    | PrepareImage
    | CreateRun
    | PublishRun
    | StartContainer
    | FollowContainer
    | FinishRun
    | StopContainer
    | RemoveContainer
    | PublishOutput
    | Purge
    | RemoveRemains
)
