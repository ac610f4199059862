"""What an ended container means: success, a failure of the program, or an attempt that was lost."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from reconciler.core.containers import Container
from reconciler.core.ledger import Run

KILLED = 128 + 9
NOT_STARTED = {126, 127}
ENDED_BY_ENGINE = {128 + 15, KILLED, 255}
"""By its orderly stop (SIGTERM, then SIGKILL), or unseen because the engine itself was killed (255)."""

SLACK = timedelta(seconds=15)

RESTART = timedelta(seconds=60)
"""How long an engine that is restarted is away, where nobody saw it go."""


class Verdict(Enum):
    DONE = auto()
    FAILED = auto()
    RELEASED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    verdict: Verdict
    reason: str = ""
    message: str = ""
    final: bool = True


@dataclass(frozen=True, slots=True)
class Outage:
    """The engine did not answer between these two moments (this machine's clock)."""

    began: datetime
    ended: datetime


def judge(run: Run, container: Container, outage: Outage | None = None) -> Ending:
    """Decide what to record of an ended container. A failing program is final unless its exit code is listed.

    A program that an engine took down with it did not fail, nor succeed: its attempt was lost.
    """
    if container.removed:
        message = "its container was removed by somebody else"
        return Ending(verdict=Verdict.RELEASED, reason="ContainerMissing", message=message)
    if container.exit_code is None:
        message = container.error or "it ended without leaving an exit code"
        return Ending(verdict=Verdict.RELEASED, reason="Lost", message=message)
    if not _ended_by_itself(run, container) and _lost_with_engine(container, outage):
        message = "the container engine was restarted and took the stage down; live-restore in its settings avoids that"
        return Ending(verdict=Verdict.RELEASED, reason="EngineRestarted", message=message)
    if container.exit_code == 0:
        return Ending(verdict=Verdict.DONE)
    if _timed_out(run, container):
        return Ending(
            verdict=Verdict.FAILED,
            reason="TimedOut",
            message=f"ran into its timeout of {run.created.timeout:.0f} s; raise it in the pipeline if it needs more",
        )
    if container.oom_killed:
        return Ending(verdict=Verdict.FAILED, reason="OutOfMemory", message=_memory_words(container))
    listed = container.exit_code in run.created.retries_exit_codes
    final = not (listed and run.attempts_used <= run.created.retries_limit)
    if container.exit_code in NOT_STARTED and container.error:
        return Ending(verdict=Verdict.FAILED, reason="CommandNotFound", message=_words(container))
    return Ending(verdict=Verdict.FAILED, reason="ExitCode", message=_words(container), final=final)


def may_be_collateral(run: Run, container: Container) -> bool:
    """Ended as an engine or a machine that goes down ends things: wait and see whether it does.

    Not where the engine is known to have been restarted since.
    """
    is_open = not _ended_by_itself(run, container) and not _lost_with_engine(container, None)
    return container.exit_code in ENDED_BY_ENGINE and is_open


def _ended_by_itself(run: Run, container: Container) -> bool:
    """For a reason that is known for sure: the kernel says that it took its memory, or it ran into its timeout."""
    return (container.oom_killed and container.exit_code == KILLED) or _timed_out(run, container)


def _lost_with_engine(container: Container, outage: Outage | None) -> bool:
    """Did an engine that is gone end it, or the present one while it started?

    Programs may answer SIGTERM with a code of their own, even 0. Such an end counts as the engine's only from when
    that engine may have begun to stop, and if it is one that takes containers down: a success long ago stays one.
    """
    ended, since = container.ended_at, container.engine_since
    by_signal = container.exit_code in ENDED_BY_ENGINE
    if ended is None:
        return False
    if since is None:  # an engine elsewhere, or one that hides: only what we saw ourselves counts
        return by_signal and outage is not None and outage.began - SLACK <= ended <= outage.ended + SLACK
    if container.started_at is None or container.started_at > since:
        return False
    if container.live_restore:
        return by_signal and ended <= since + SLACK
    is_seen = outage is not None and outage.began <= since <= outage.ended
    began = outage.began if outage is not None and is_seen else since - RESTART
    return by_signal or ended >= began


def _timed_out(run: Run, container: Container) -> bool:
    if run.created.timeout is None or container.started_at is None or container.ended_at is None:
        return False
    return (container.ended_at - container.started_at).total_seconds() >= run.created.timeout


def _words(container: Container) -> str:
    code = container.exit_code
    extra = f" ({container.error})" if container.error else ""
    if code == KILLED:
        return "was killed from outside (signal 9, exit code 137)" + extra
    if code is not None and code > 128:
        return f"ended by signal {code - 128} (exit code {code})" + extra
    return f"exited with code {code}{extra}; its log says why"


def _memory_words(container: Container) -> str:
    """Also when the kernel took one process of several and the program gave up over it."""
    raise_it = "used more memory than requires.memory allows; raise it in the pipeline"
    if container.limits.get("memory") == "0":
        raise_it = "used more memory than the machine had left; write requires.memory"
    if container.exit_code == KILLED:
        return f"was killed because it {raise_it}"
    return f"exited with code {container.exit_code} after the kernel had killed a process of it that {raise_it}"
