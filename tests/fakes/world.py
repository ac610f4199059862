"""A world in memory: nodes that plan from the same ledger, and an interpreter that carries actions out.

No I/O and no threads: one ``step`` is one node's tick. A container's program ends when the world says so.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reconciler.core.actions import (
    Action,
    CreateRun,
    FinishRun,
    FollowContainer,
    PublishOutput,
    PublishProject,
    PublishRun,
    Purge,
    RemoveContainer,
    RemoveRemains,
    ResolveImage,
    StartContainer,
    StopContainer,
)
from reconciler.core.containers import ClaimKey, Container, ContainerState
from reconciler.core.desired import Desired
from reconciler.core.draft import Me, Plan, WantedImage
from reconciler.core.ledger import Ledger, ProjectHistory, Retired, Run
from reconciler.core.names import Commit, NodeName, ProjectName, Token
from reconciler.core.nodes import Node
from reconciler.core.outcome import Verdict, judge
from reconciler.core.plan import plan
from reconciler.core.records import Claim, Deleted, Done, Failed, Purged, Released, RunCreated, RunRecord
from tests.fakes.build import BOOT, EXACT, NOW, RESOLVED, SHARE, a_container, header, me


def apply_to(ledger: Ledger, action: Action, token: str) -> Ledger:
    """What an action's records change; first writer wins, exactly as on the share."""
    match action:
        case PublishProject(project=project, record=record):
            history = ledger.history(project)
            if record.number != history.next_number:
                return ledger
            deleted_at = record.at if isinstance(record, Deleted) else None
            return _with(ledger, project, replace(history, records=(*history.records, record), deleted_at=deleted_at))
        case Purge(project=project, record=purged):
            return _retire(ledger, project, purged)
        case RemoveRemains(project=project, number=number):
            return replace(ledger, remains=tuple(one for one in ledger.remains if one != (project, number)))
        case CreateRun(project=project, record=record, claim=claim):
            history = ledger.history(project)
            if record.number != history.next_number:
                return ledger
            run = Run(created=replace(record, token=Token(token)))
            created = replace(history, records=(*history.records, run.created), runs=(*history.runs, run))
            return publish(_with(ledger, project, created), project, run.created, replace(claim, token=Token(token)))
        case PublishRun(project=project, run=run, record=record):
            return publish(ledger, project, run.created, replace(record, token=Token(token)))
        case PublishOutput(project=project, run=run):
            return _changed(ledger, project, run.created, output_published=True)
        case _:
            return ledger


def publish(ledger: Ledger, project: ProjectName, created: RunCreated, record: RunRecord) -> Ledger:
    run = ledger.history(project).run(created.run)
    if run is None or record.number != run.next_number:  # its project was purged, or somebody was faster
        return ledger
    started_at = None if isinstance(record, Claim) else run.started_at
    return _changed(ledger, project, created, records=(*run.records, record), started_at=started_at)


def _retire(ledger: Ledger, project: ProjectName, purged: Purged) -> Ledger:
    """One rename: what was taken away already stays away, and a namesake is left alone."""
    if purged not in ledger.history(project).records:
        return ledger
    left = ProjectHistory(retired=Retired(record=purged.number, run=purged.last_run, commit=purged.commit))
    remains = (*ledger.remains, (project, purged.number))
    return replace(_with(ledger, project, left), remains=remains)


def _changed(ledger: Ledger, project: ProjectName, created: RunCreated, **fields: object) -> Ledger:
    history = ledger.history(project)
    runs = tuple(
        replace(run, **fields) if run.number == created.run else run  # type: ignore[arg-type]  # named by callers
        for run in history.runs
    )
    return _with(ledger, project, replace(history, runs=runs))


def _with(ledger: Ledger, project: ProjectName, history: ProjectHistory) -> Ledger:
    return replace(ledger, projects={**ledger.projects, project: history})


@dataclass
class Machine:
    """One node's engine and what its reconciler remembers."""

    boot: str = BOOT
    containers: dict[ClaimKey, Container] = field(default_factory=dict)
    logged: set[ClaimKey] = field(default_factory=set)
    since: dict[str, float] = field(default_factory=dict)
    images: dict[WantedImage, str | None] = field(default_factory=dict)


@dataclass
class World:
    desired: Desired
    nodes: tuple[Node, ...]
    ledger: Ledger = field(default_factory=lambda: Ledger(share=SHARE))
    exit_code: Callable[[Container], int] = lambda container: 0
    now: float = 1000.0
    machines: dict[NodeName, Machine] = field(default_factory=dict)
    applied: list[tuple[NodeName, Action]] = field(default_factory=list)

    def machine(self, name: NodeName) -> Machine:
        return self.machines.setdefault(name, Machine())

    def desired_of(self, name: NodeName) -> Desired:
        """What the node knows of git."""
        return self.desired

    def contained_of(self, name: NodeName) -> frozenset[Commit]:
        """The commits that are in the node's clone."""
        return frozenset({self.desired.commit})

    def asked_of(self, name: NodeName) -> float | None:
        """When the node asked git for what it knows of it: here, all the time."""
        return self.now + 0.5

    def nodes_of(self, name: NodeName) -> tuple[Node, ...]:
        """The nodes as this one sees them."""
        return self.nodes

    def me(self, name: NodeName) -> Me:
        machine = self.machine(name)
        return me(
            name,
            boot=machine.boot,
            contained=self.contained_of(name),
            share_time=NOW + timedelta(seconds=self.now),
            source_asked=self.asked_of(name),
            monotonic=self.now,
            now=NOW + timedelta(seconds=self.now),
            containers=tuple(machine.containers[key] for key in sorted(machine.containers)),
            ran_for={
                key: (NOW + timedelta(seconds=self.now) - container.started_at).total_seconds()
                for key, container in machine.containers.items()
                if container.started_at is not None
            },
            followed=frozenset(machine.logged),
            logged=frozenset(machine.logged),
            since=dict(machine.since),
            images={**RESOLVED, **machine.images},
        )

    def plan(self, name: NodeName) -> Plan:
        todo = plan(self.desired_of(name), self.ledger, self.nodes_of(name), self.me(name))
        since = self.machine(name).since
        self.machine(name).since = {met: since.get(met, self.now) for met in todo.situations}
        return todo

    def carry_out(self, name: NodeName, actions: Iterable[Action]) -> None:
        for action in actions:
            self.applied.append((name, action))
            token = f"{len(self.applied):08d}"
            self.ledger = apply_to(self.ledger, action, token)
            self._act(name, action)

    def _act(self, name: NodeName, action: Action) -> None:
        machine = self.machine(name)
        match action:
            case ResolveImage(image=image, pull=pull):
                machine.images[WantedImage(image, pull)] = EXACT
            case StartContainer(project=project, run=run, claim=claim):
                key = ClaimKey(
                    share=SHARE,
                    project=project,
                    run=run.number,
                    stage=run.stage,
                    number=claim.number,
                    token=claim.token,
                )
                at = NOW + timedelta(seconds=self.now)
                machine.containers.setdefault(key, a_container(key, started_at=at, boot=machine.boot))
                self._started(project, run, claim, at)
            case FollowContainer(container=container):
                machine.logged.add(container.key)
            case StopContainer(container=container):
                self._end(machine, container, 143)
            case RemoveContainer(container=container):
                machine.containers.pop(container.key, None)
            case FinishRun(project=project, run=run, container=container):
                record = ended(run, container, name)
                self.ledger = publish(self.ledger, project, run.created, record)
            case _:
                pass

    def _started(self, project: ProjectName, run: Run, claim: Claim, at: datetime) -> None:
        """What a claim's directory says counts for nobody once another claim is in force."""
        found = self.ledger.history(project).run(run.number)
        if found is not None and found.claim is not None and found.claim.token == claim.token:
            self.ledger = _changed(self.ledger, project, run.created, started_at=at)

    def run_programs(self) -> None:
        """Every program that runs comes to its end."""
        for machine in self.machines.values():
            for container in list(machine.containers.values()):
                if container.state is ContainerState.RUNNING:
                    self._end(machine, container, self.exit_code(container))

    def _end(self, machine: Machine, container: Container, code: int) -> None:
        machine.containers[container.key] = replace(
            container,
            state=ContainerState.EXITED,
            exit_code=code,
            ended_at=NOW + timedelta(seconds=self.now),
        )

    def turn(self, seconds: float = 1.0) -> None:
        """Every node ticks once, then programs end and time goes on."""
        for node in self.nodes:
            self.carry_out(node.name, self.plan(node.name).actions)
        self.run_programs()
        self.now += seconds

    def settle(self, turns: int = 400, seconds: float = 1.0) -> "World":
        """Until nothing runs, nobody plans anything and nobody waits for time to pass."""
        for _ in range(turns):
            plans = [self.plan(node.name) for node in self.nodes]
            if not self._runs() and not any(todo.actions or todo.wake_at is not None for todo in plans):
                return self
            self.turn(seconds)
        raise AssertionError(f"not settled after {turns} turns: {self.applied[-5:]}")

    def _runs(self) -> bool:
        found = (container for machine in self.machines.values() for container in machine.containers.values())
        return any(container.state is ContainerState.RUNNING for container in found)

    def shape(self) -> dict[str, list[tuple[str, str]]]:
        """What became of everything, without who and when."""
        return {
            name: [(run.stage, run.phase.value) for run in history.runs]
            for name, history in sorted(self.ledger.projects.items())
        }


def ended(run: Run, container: Container, node: NodeName) -> RunRecord:
    """What the agent records of an ended container."""
    ending = judge(run, container)
    about = header(container.key.number + 1, node)
    match ending.verdict:
        case Verdict.DONE:
            return Done(**about, exit_code=0)
        case Verdict.FAILED:
            return Failed(
                **about,
                exit_code=container.exit_code,
                reason=ending.reason,
                message=ending.message,
                final=ending.final,
            )
        case Verdict.RELEASED:
            return Released(**about, reason=ending.reason, message=ending.message)
