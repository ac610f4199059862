"""Ending a run at once with the files of an earlier one that was given the same: nothing is pulled or started.

Everything is written under our own claim, in its directory and at the number after it. A crash anywhere before that
record leaves an open claim whose start is tried again, from the beginning.
"""

from collections.abc import Callable, Sequence

import structlog

from reconciler.agent.ports import Clock, Share
from reconciler.core.draft import Header
from reconciler.core.ledger import Run
from reconciler.core.names import NodeName, ProjectName
from reconciler.core.records import Claim, Done, InputFile
from reconciler.core.unchanged import original, reusable
from reconciler.errors import Superseded

log = structlog.get_logger()


class Reuse:
    def __init__(self, share: Share, clock: Clock, node: NodeName) -> None:
        self._share = share
        self._clock = clock
        self._node = node

    def instead(
        self,
        project: ProjectName,
        run: Run,
        claim: Claim,
        inputs: Sequence[InputFile],
        header: Callable[[Run, Claim], Header],
    ) -> bool:
        """True if the run needs no program: its end is recorded, or somebody else's word stands there."""
        if not run.created.skip_unchanged:
            return False
        if self._share.read_run(project, run.created).claim != claim:  # its files may count already
            raise Superseded(f"run {run.number} of {project} has ended, or was taken over")
        self._share.discard_reuse(project, run, claim)
        of = reusable(self._share.read().history(project), run.created, inputs, runtime=claim.runtime)
        began = self._clock.now()
        if of is None or not self._share.reuse(project, run, claim, of):
            return False
        outcome, source = of.outcome, original(of)
        self._share.add_event(project, run, claim, began, "reused", node=self._node, of=source)
        log.info("run_reused", project=project, run=run.number, stage=run.stage, of=source)
        record = Done(
            **header(run, claim),
            exit_code=0,
            started_at=began,
            ended_at=self._clock.now(),
            image_digest=run.created.image_digest,
            results=outcome.results if outcome else {},
            log=outcome.log if outcome else None,
            inputs=tuple(inputs),
            reused=source,
        )
        self._share.publish_run(project, run.created, record)
        return True
