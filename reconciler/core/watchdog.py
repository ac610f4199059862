"""What has to be stopped although the share does not answer: asked by a thread that needs the engine alone.

While the share hangs, so does the tick, and with it everything that ``plan`` would decide. Two things can't wait: a
stage's timeout, and the promise of ``on_suspect: stop`` that a stage does not go on where its claim is in doubt.
Both follow from the last ledger that was read. A reconciler that has read none knows of no claim and stops nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.core.actions import StopContainer
from reconciler.core.containers import ClaimKey, Container, ContainerState, claim_key
from reconciler.core.desired import OnSuspect, Site
from reconciler.core.ledger import Ledger, Run
from reconciler.core.names import NodeName
from reconciler.core.outcome import Ending, Verdict
from reconciler.core.placement import claims_of
from reconciler.core.takeover import ttl_of

TIMED_OUT = "TimedOut"
SUSPECT = "ShareSuspect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a node knows by itself. Seconds on its own clock."""

    node: NodeName
    containers: tuple[Container, ...]
    ran_for: Mapping[ClaimKey, float]
    stopping: frozenset[ClaimKey] = frozenset()
    given_up: frozenset[ClaimKey] = frozenset()  # suspects of an earlier look: their end will not be believed
    unheard_for: float = 0.0  # since the last heartbeat that was written began: what others may count as silence
    site: Site = field(default_factory=Site)


def overdue(ledger: Ledger, watched: Watched) -> tuple[StopContainer, ...]:
    """Our containers that must end now, each with its reason."""
    running = {c.key: c for c in watched.containers if c.state is ContainerState.RUNNING}
    found = []
    for project, run in claims_of(ledger, watched.node):
        if run.claim is None:
            continue
        key = claim_key(project, run, run.claim)
        because = _why(run, key, watched)
        if because and key in running and key not in watched.stopping:
            found.append(StopContainer(project=project, container=running[key], because=because))
    return tuple(found)


def _why(run: Run, key: ClaimKey, watched: Watched) -> str:
    timeout = run.created.timeout
    if timeout is not None and watched.ran_for.get(key, 0.0) >= timeout:
        return TIMED_OUT
    return SUSPECT if key in watched.given_up or is_suspect(run, watched.unheard_for, watched.site) else ""


def is_suspect(run: Run, unheard_for: float, site: Site) -> bool:
    """Is it stopped, now that others may have taken it over? Then its node must not vouch for it any longer."""
    return run.created.on_suspect is OnSuspect.STOP and unheard_for >= ttl_of(run, site)


def judge_stopped(because: str, container: Container) -> Ending | None:
    """What an end means that we brought about ourselves, for ``because``. None: the same as any other end.

    A suspect's exit code says nothing: programs that are asked to stop may well end with 0, their work half done.
    The attempt is lost like that of a node that died, and uses up a retry. A supervisor that hangs in the share
    together with its program is killed, and takes the exit code with it: what was stopped for its timeout failed.
    """
    if because == SUSPECT:
        message = "its node could not reach the share for so long that others may have started it: on_suspect: stop"
        return Ending(verdict=Verdict.RELEASED, reason="Suspect", message=message)
    if because == TIMED_OUT and container.exit_code is None:
        message = "ran into its timeout while the share did not answer; raise it in the pipeline if it needs more"
        return Ending(verdict=Verdict.FAILED, reason="TimedOut", message=message)
    return None
