"""One attempt's life on this node: prepare, start, follow, judge. Each step may be the last and can be redone."""

from dataclasses import replace

import structlog

from reconciler.agent.containers import Containers
from reconciler.agent.images import NodeImages
from reconciler.agent.inputs import Inputs
from reconciler.agent.inventory import Stocktaking
from reconciler.agent.measuring import UNMEASURED, Measured
from reconciler.agent.ports import Clock, Runtime, Share
from reconciler.agent.provenance import gpus_used, versions
from reconciler.agent.reuse import Reuse
from reconciler.agent.secrets import Secrets
from reconciler.agent.stopped import Stopped
from reconciler.agent.tokens import new_token
from reconciler.config import NodeConfig
from reconciler.core.containers import ClaimKey, Container, Order, Paths
from reconciler.core.desired import Secret
from reconciler.core.draft import Header
from reconciler.core.gpus import is_shared
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.nodes import Gpu
from reconciler.core.outcome import Verdict, judge
from reconciler.core.records import Claim, Done, Failed, Outcome, Released
from reconciler.core.watchdog import judge_stopped
from reconciler.errors import GpuLost, RegistryUnavailable, SecretMissing, StartFailed, Superseded, WinslowError

log = structlog.get_logger()

REGISTRY_PATIENCE = 300.0
"""Seconds for which a claim waits for a registry that does not answer; then another node, which may have the image,
gets its chance."""


class Attempts:
    """Carries out what the plan says about our own claims. Called from worker threads, one a claim."""

    def __init__(
        self,
        config: NodeConfig,
        share: Share,
        runtime: Runtime,
        containers: Containers,
        clock: Clock,
        stock: Stocktaking,
        stopped: Stopped,
        images: NodeImages,
        measured: Measured = UNMEASURED,
    ) -> None:
        self._config = config
        self._measured = measured
        self._share = share
        self._runtime = runtime
        self._containers = containers
        self._clock = clock
        self._stock = stock
        self._stopped = stopped
        self._images = images
        self._secrets = Secrets(config.secrets_dir)
        self._inputs = Inputs(share)
        self._reuse = Reuse(share, clock, config.name)
        self._silent_since: dict[ClaimKey, float] = {}  # monotonic: since when the claim's registry does not answer

    def start(self, project: ProjectName, run: Run, claim: Claim, key: ClaimKey) -> Container | None:
        """Prepare the claim's directory and start its container. None: its end is recorded already."""
        try:
            return self._start(project, run, claim, key)
        except GpuLost as error:
            if error.is_refused:
                self._stock.gpus.refuse(claim.gpus, str(error))  # before anybody may claim it again
            self._give_back(project, run, claim, "GpuLost", error, counts=error.counts)
            self._containers.forget_listing()  # it may be somebody else's whom we have not seen yet
            return None
        except RegistryUnavailable as error:
            since = self._silent_since.setdefault(key, self._clock.monotonic())
            if self._clock.monotonic() - since < REGISTRY_PATIENCE:
                raise
            self._silent_since.pop(key)
            self._give_back(project, run, claim, "RegistryUnavailable", error, counts=False)
            return None
        except StartFailed as error:
            log.warning("start_failed", project=project, run=run.number, reason=error.reason, message=str(error))
            header = self._header(run, claim)
            record = Failed(**header, reason=error.reason, message=str(error), ended_at=self._clock.now())
            self._share.publish_run(project, run.created, record)
            return None

    def _give_back(
        self, project: ProjectName, run: Run, claim: Claim, reason: str, error: WinslowError, *, counts: bool
    ) -> None:
        log.warning("claim_given_back", project=project, run=run.number, reason=reason, message=str(error))
        released = Released(**self._header(run, claim), reason=reason, message=str(error), counts=counts)
        self._share.publish_run(project, run.created, released)

    def _start(self, project: ProjectName, run: Run, claim: Claim, key: ClaimKey) -> Container | None:
        inputs = self._inputs.look(project, run.created)
        if self._reuse.instead(project, run, claim, inputs, self._header):
            return None
        paths = self._share.prepare(project, run, claim)
        self._inputs.note(project, run, claim, inputs)
        digest = self._images.provide(project, run, claim)
        self._silent_since.pop(key, None)
        order = self._order(run, key, claim, paths)
        if self._share.read_run(project, run.created).claim != claim:
            raise Superseded(f"run {run.number} of {project} was taken over while it was prepared")
        container = self._runtime.start(order, image_digest=digest)
        self._note_start(project, run, claim, container)
        self._containers.put(container)
        log.info("container_started", project=project, run=run.number, stage=run.stage, claim=claim.number)
        return container

    def _note_start(self, project: ProjectName, run: Run, claim: Claim, container: Container) -> None:
        at, digest = container.started_at or self._clock.now(), container.image_digest
        self._share.add_event(project, run, claim, at, "started", node=self._config.name, image_digest=digest)

    def adopt(self, project: ProjectName, run: Run, claim: Claim, container: Container) -> None:
        """Follow what was found running or ended. Whoever started it may have died before it could note that.

        Without the note a container that somebody removes would be taken for one that was never started.
        """
        log.info("container_adopted", project=project, run=run.number, state=container.state)
        if run.started_at is None:
            self._note_start(project, run, claim, container)
        self.follow(project, run, claim, container)

    def follow(self, project: ProjectName, run: Run, claim: Claim, container: Container) -> None:
        """Write the log until the container has ended; then its end can be recorded."""
        path, relative = self._share.log_path(project, run, claim)
        hashing = self._inputs.begin(project, run, claim)
        summary = self._runtime.follow_log(container, path)
        ended = self._runtime.wait(container)
        self._inputs.end(project, run, claim, hashing)
        pointer = replace(summary.pointer, path=relative)
        self._containers.summaries[container.key] = replace(summary, pointer=pointer)
        self._containers.put(ended)

    def finish(self, project: ProjectName, run: Run, claim: Claim, container: Container) -> bool:
        """Publish what became of the container at the number after its claim."""
        by_us = judge_stopped(self._stopped.why(container.key), container)
        ending = by_us or judge(run, container, self._containers.outage)
        header = self._header(run, claim)
        if ending.verdict is Verdict.RELEASED:
            released = Released(**header, reason=ending.reason, message=ending.message)
            return self._share.publish_run(project, run.created, released)
        summary = self._containers.summaries[container.key]
        facts = Outcome(
            **header,
            exit_code=container.exit_code,
            started_at=container.started_at,
            ended_at=container.ended_at,
            image_digest=container.image_digest,
            results=summary.results,
            log=summary.pointer,
            resources=self._measured.summary(container, claim),
            inputs=self._inputs.found(project, claim),
            gpus=gpus_used(claim.gpus, self._stock.gpus.offered),
            versions=versions(self._stock.record),
        )
        fields = {name: getattr(facts, name) for name in Outcome.__dataclass_fields__}
        record: Done | Failed = Done(**fields)
        if ending.verdict is Verdict.FAILED:
            record = Failed(**fields, reason=ending.reason, message=ending.message, final=ending.final)
        log.info("run_ended", project=project, run=run.number, stage=run.stage, exit_code=container.exit_code)
        return self._share.publish_run(project, run.created, record)

    def _header(self, run: Run, claim: Claim) -> Header:
        return Header(
            number=type(claim.number)(claim.number + 1),
            token=new_token(),
            share=claim.share,
            node=self._config.name,
            at=self._clock.now(),
        )

    def _order(self, run: Run, key: ClaimKey, claim: Claim, paths: Paths) -> Order:
        created = run.created
        command = created.command if self._runtime.name == "docker" else created.process_command
        return Order(
            key=key,
            node=self._config.name,
            image=created.image,
            command=command,
            environment={name: self._value(name, setting.value) for name, setting in created.environment.items()},
            paths=paths,
            inputs=created.inputs,
            cpus=created.requires.cpus,
            memory=created.requires.memory,
            disk=created.requires.disk,
            gpus=self._devices(claim),
            shares_gpus=is_shared(created.requires.gpus),
            pull=created.pull,
            network=created.network,
            shm_size=created.shm_size,
            attempt=run.attempts,
        )

    def _devices(self, claim: Claim) -> tuple[Gpu, ...]:
        """The claim's devices as last looked at: a broken driver might not answer for ever."""
        here = {gpu.uuid: gpu for gpu in self._stock.gpus.offered}
        for uuid in claim.gpus:
            if uuid not in here:
                raise GpuLost(f"the GPU {uuid} is no longer there, or node.yaml keeps it from stages")
            if here[uuid].fault:
                raise GpuLost(f"the GPU {uuid} can't be used now: {here[uuid].fault}")
        return tuple(here[uuid] for uuid in claim.gpus)

    def _value(self, name: str, value: str | Secret) -> str:
        """A variable's value; secrets are read on the node, at start, and go nowhere else."""
        if isinstance(value, str):
            return value
        try:
            return self._secrets.read(value)
        except SecretMissing as error:
            raise StartFailed("SecretMissing", f"{name}: {error}") from error
