"""Reading the share and the state repository themselves: everything, up to the moment."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.rings import Rings
from reconciler.agent.inquiries import Ask, Inquiries, nobody_answers
from reconciler.agent.ports import Clock, Fetched, NodeFiles, Noting, Source
from reconciler.codec.heartbeat import heard, heard_availability, heard_remarks
from reconciler.codec.log import LogLine, progress_of, read_lines
from reconciler.config import NodeConfig
from reconciler.core.containers import claim_key
from reconciler.core.desired import Desired
from reconciler.core.ledger import Ledger, RunPhase
from reconciler.core.ledger_behind import Noted, missing, told
from reconciler.core.measurements import Series, series
from reconciler.core.names import NodeName, ProjectName, RunNumber
from reconciler.core.nodes import Node, Pulse, listen
from reconciler.core.report import report
from reconciler.core.status import Condition, RunStatus, Status, condition
from reconciler.core.takeover import to_ask
from reconciler.errors import BadInput, SourceUnavailable
from reconciler.readers import LogPage
from reconciler.readers.find import find_run

REWRITTEN = "SourceRewritten"
TAIL = 16_384
"""Bytes at the end of a running stage's log in which its progress is looked for."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a plan is made from, as a reader sees it."""

    desired: Desired
    ledger: Ledger
    nodes: tuple[Node, ...]


class LiveReader:
    """Port ``Reader``. Thread-safe. Looks at the remote at most every ``poll``; at the share every time."""

    def __init__(
        self,
        config: NodeConfig,
        source: Source,
        observed: Noting,
        clock: Clock,
        *,
        ask: Ask = nobody_answers,
        boot: str = "",
    ) -> None:
        """``boot`` is this machine's: whose nodes are asked at loopback addresses."""
        self._config = config
        self._share = SharedDirectory(config.share)
        self._rings = Rings(self._share)
        self._source = source
        self._observed = observed
        self._noted: tuple[Noted, ...] = ()
        self._clock = clock
        self._lock = threading.Lock()
        self._fetched: Fetched | None = None
        self._fetched_at = 0.0
        self._pulses: dict[NodeName, Pulse] = {}
        self._inquiries = Inquiries(ask, clock)
        self._boot = boot

    def status(self) -> Status:
        fetched = self._fetch()
        snapshot = self.snapshot()
        found = report(
            snapshot.desired,
            snapshot.ledger,
            snapshot.nodes,
            branch=self._config.branch,
            conditions=(*self._ledger_conditions(snapshot), *self._own_conditions(fetched, snapshot)),
        )
        projects = (
            replace(project, runs=tuple(self._with_progress(run) for run in project.runs)) for project in found.projects
        )
        return replace(found, projects=tuple(projects))

    def _ledger_conditions(self, snapshot: Snapshot) -> tuple[Condition, ...]:
        """The ledger was read after the branch was noted; one that lacks records though is read once more."""
        if not missing(snapshot.ledger, self._noted):
            return ()
        lacking = missing(self._share.read(), self._noted)
        return (condition("LedgerBehind", told(lacking)),) if lacking else ()

    def _own_conditions(self, fetched: Fetched, snapshot: Snapshot) -> tuple[Condition, ...]:
        """Of a rewritten history the nodes tell: they may hold on to another commit than this reader's clone did."""
        ttl = snapshot.desired.site.ttl.total_seconds()
        is_told = any(REWRITTEN in node.conditions and node.is_live(ttl) for node in snapshot.nodes)
        if is_told and not fetched.error:
            shown = f"this shows {self._config.branch}'s new history (commit {snapshot.desired.commit[:12]})"
            why = f"{shown}; nodes still work from the old one (if nobody has accepted the new: winslow accept-rewrite)"
            return (condition(REWRITTEN, why),)
        if fetched.reason == REWRITTEN:
            why = f"{self._config.branch} was rewritten; what the nodes hold, and how to go on: winslow accept-rewrite"
            return () if is_told else (condition(REWRITTEN, why),)
        return (condition(fetched.reason or "SourceUnreachable", fetched.error),) if fetched.error else ()

    def snapshot(self) -> Snapshot:
        fetched = self._fetch()
        if fetched.desired is None:
            raise SourceUnavailable(
                f"nothing could be read of the state repository {self._config.state_url}: {fetched.error}"
            )
        ledger, nodes = self._share.read(), self._nodes(fetched.desired)
        return Snapshot(fetched.desired, ledger, self._answering(fetched.desired, ledger, nodes))

    def log(self, project: ProjectName, run: RunNumber, *, offset: int = 0, limit: int = 262_144) -> LogPage:
        found = find_run(self.status(), project, run)
        if found.log is None:
            return LogPage(lines=(), next_offset=max(offset, 0), ended=found.ended_at is not None)
        path = self._config.share / found.log
        page = read_lines(path, offset=offset, limit=limit)
        if offset <= 0 and found.ended_at is not None and found.tail and not path.exists():
            return _remembered(found.tail, found.ended_at)
        over = found.ended_at is not None and page.ended
        return LogPage(lines=page.lines, next_offset=page.next_offset, ended=over)

    def output_files(self, project: ProjectName, run: RunNumber) -> Sequence[tuple[str, int]]:
        root = self._output(project, run)
        if root is None or not root.is_dir():
            return ()
        return sorted(
            (path.relative_to(root).as_posix(), path.stat().st_size)
            for path in root.rglob("*")
            if path.is_file() and not path.is_symlink()
        )

    def open_output(self, project: ProjectName, run: RunNumber, path: str) -> str:
        root = self._output(project, run)
        if root is not None:
            target = (root / path).resolve()
            if target.is_relative_to(root.resolve()) and target.is_file():
                return str(target)
        raise BadInput(f"run {run} of '{project}' has no output file '{path}'")

    def node_series(self, node: NodeName, since: datetime) -> Series:
        return series(self._rings.read_node(node, since), since=int(since.timestamp()))

    def run_series(self, project: ProjectName, run: RunNumber) -> Series:
        found = self._share.read().history(project).run(run)
        if found is None:
            find_run(self.status(), project, run)
        claim = found.last_claim if found else None
        recorded = self._rings.read_run(claim_key(project, found, claim)) if found and claim else None
        return series((recorded,) if recorded else ())

    # --- looking ---

    def _fetch(self) -> Fetched:
        with self._lock:
            now = self._clock.monotonic()
            if self._fetched is None or now - self._fetched_at > self._config.poll.total_seconds():
                self._fetched = self._source.fetch(self._share.read().site)
                self._noted = self._observed.noted()
                self._fetched_at = now
            return self._fetched

    def _nodes(self, desired: Desired) -> tuple[Node, ...]:
        period = desired.site.heartbeat.total_seconds()
        found = self._share.read_nodes()
        with self._lock:
            now = self._clock.monotonic()
            for name, files in found.items():
                self._pulses[name] = self._heard(self._pulses.get(name), files, now, period)
            return tuple(self._node(name, files) for name, files in sorted(found.items()))

    def _answering(self, desired: Desired, ledger: Ledger, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """As nodes do: a silent owner that answers is not about to lose its run."""
        silent = to_ask(ledger, nodes, desired.site, me=NodeName(""), boot=self._boot)
        self._inquiries.begin(silent)
        self._inquiries.wait()
        return self._inquiries.told(nodes, silent)

    def _node(self, name: NodeName, files: NodeFiles) -> Node:
        conditions, faults = heard(files.heartbeat)
        silent_for = self._pulses[name].silent_for
        return Node(
            name=name,
            record=files.records[-1],
            starts=files.starts,
            silent_for=silent_for,
            conditions=conditions,
            faults=faults,
            remarks={project: said.as_of_now() for project, said in heard_remarks(files.heartbeat).items()},
            availability=heard_availability(files.heartbeat),
            started_at=files.started_at,
        )

    def _heard(self, before: Pulse | None, files: NodeFiles, now: float, period: float) -> Pulse:
        """As nodes listen to one another; the first look, and one after a long pause, trust the file's time."""
        pulse = listen(
            before,
            incarnation=files.records[-1].incarnation,
            content=files.heartbeat or b"",
            now=now,
            healthy=True,
            period=period,
        )
        slept = before is None or now - before.seen_at > 2 * period
        if slept and files.beaten_at is not None:
            age = (self._clock.now() - files.beaten_at).total_seconds()
            return replace(pulse, silent_for=max(age, 0.0) if age > 2 * period else 0.0)
        return pulse

    def _with_progress(self, run: RunStatus) -> RunStatus:
        if run.phase is not RunPhase.RUNNING or run.log is None:
            return run
        try:
            page = read_lines(self._config.share / run.log, offset=-TAIL, limit=TAIL)
        except OSError:  # one log that this user may not read must not hide everything else
            return run
        return replace(run, progress=progress_of(page.lines))

    def _output(self, project: ProjectName, run: RunNumber) -> Path | None:
        found = find_run(self.status(), project, run)
        return self._config.share / found.output if found.output else None


def _remembered(tail: Sequence[str], time: datetime) -> LogPage:
    """Of a log that was lost with its share: what the run's last record keeps of it."""
    said = "the log was lost; these are its last lines, as the run's record keeps them"
    lines = [LogLine(time=time, stream="winslow", line=said)]
    lines += [LogLine(time=time, stream="stdout", line=line) for line in tail]
    return LogPage(lines=lines, next_offset=len(lines), ended=True)
