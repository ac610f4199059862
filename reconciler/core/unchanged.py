"""Which completed run can stand for a new one: the same program, told the same, given the same files.

Only what is recorded is compared. Secrets count as equal by their names, for nobody records their values; how many
processors, how much memory and which GPUs a run gets does not count.
"""

from collections.abc import Mapping, Sequence

from reconciler.core.ledger import ProjectHistory, Run, RunPhase
from reconciler.core.names import RecordNumber, RunNumber
from reconciler.core.records import Base, InputFile, RunCreated

PROCESS = "process"


def reusable(history: ProjectHistory, created: RunCreated, inputs: Sequence[InputFile], *, runtime: str) -> Run | None:
    """The newest succeeded run whose files are what ``created`` would make from ``inputs`` on this runtime.

    None for a run that does not say ``skip_unchanged``, as most do that a person asked for: they want them to run.
    """
    if not created.skip_unchanged:
        return None
    done = (run for run in reversed(history.runs) if run.phase is RunPhase.SUCCEEDED and run.number < created.run)
    found = (run for run in done if run.number not in history.lost_files)
    return next((run for run in found if _is_same(history, run, created, inputs, runtime)), None)


def original(run: Run) -> RunNumber:
    """The run whose program made the files of ``run``: itself, unless it was reused."""
    return run.outcome.reused if run.outcome and run.outcome.reused is not None else run.number


def _is_same(history: ProjectHistory, run: Run, created: RunCreated, inputs: Sequence[InputFile], runtime: str) -> bool:
    claim, outcome = run.last_claim, run.outcome
    return (
        claim is not None
        and outcome is not None
        and claim.runtime == runtime
        and _program(run.created) == _program(created)
        and _same_image(run, created, runtime)
        and _values(run.created) == _values(created)
        and _origin(history, run.created.base) == _origin(history, created.base)
        and same_inputs(outcome.inputs, inputs)
    )


def _program(created: RunCreated) -> tuple[object, ...]:
    return (
        created.stage,
        created.command,
        created.process_command,
        created.workspace,
        created.network,
        created.inputs,
    )


def _same_image(run: Run, created: RunCreated, runtime: str) -> bool:
    """By its digest; a tag may mean something else every day. Plain processes have no image."""
    if runtime == PROCESS:
        return True
    then = run.created.image_digest or (run.outcome.image_digest if run.outcome else None)
    return then is not None and then == created.image_digest


def _values(created: RunCreated) -> Mapping[str, object]:
    return {name: setting.value for name, setting in created.environment.items()}


def _origin(history: ProjectHistory, base: Base | None) -> tuple[RunNumber, RecordNumber] | None:
    """The claim in whose directory the base's files were made; of a base that was reused, the original's."""
    run = history.run(base.run) if base is not None else None
    if base is None or run is None:
        return (base.run, base.claim) if base is not None else None
    made = history.run(original(run))
    claim = made.last_claim if made is not None and made is not run else None
    return (made.number, claim.number) if made is not None and claim is not None else (base.run, base.claim)


def same_inputs(then: Sequence[InputFile], now: Sequence[InputFile]) -> bool:
    """The same files with the same contents. What changed while it was read is like nothing else."""
    known, found = {one.path: one for one in then}, {one.path: one for one in now}
    return known.keys() == found.keys() and all(same_file(one, found[path]) for path, one in known.items())


def same_file(then: InputFile, now: InputFile) -> bool:
    """By content where that is known on both sides, else by size and modification time; never where nobody looks."""
    if then.changed or now.changed or then.unread or now.unread:
        return False
    if then.sha256 and now.sha256:
        return then.sha256 == now.sha256
    return (then.size, then.modified) == (now.size, now.modified)
