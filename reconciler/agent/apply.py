"""Carrying out a plan. Nothing is decided here: records are signed and published, workers are started."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import assert_never

import structlog

from reconciler.agent.attempt import Attempts
from reconciler.agent.containers import Containers
from reconciler.agent.images import NodeImages
from reconciler.agent.ports import Clock, Runtime, Share
from reconciler.agent.stopped import Stopped
from reconciler.agent.tokens import new_token
from reconciler.agent.workers import Job, Key, Workers
from reconciler.core.actions import (
    Action,
    CreateRun,
    FinishRun,
    FollowContainer,
    PrepareImage,
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
from reconciler.core.containers import ClaimKey, claim_key
from reconciler.core.draft import WantedImage
from reconciler.core.names import ProjectName
from reconciler.core.watchdog import SUSPECT, TIMED_OUT
from reconciler.errors import EngineUnavailable, FilesLeft, ShareUnavailable, Superseded, TryLater, WinslowError

log = structlog.get_logger()

PAUSE = 5.0
"""Seconds before a job that met a transient fault, or somebody else at it, is tried again."""


class Applier:
    def __init__(
        self,
        share: Share,
        runtime: Runtime,
        containers: Containers,
        attempts: Attempts,
        workers: Workers,
        clock: Clock,
        stopped: Stopped,
        images: NodeImages,
    ) -> None:
        self._share = share
        self._runtime = runtime
        self._containers = containers
        self._attempts = attempts
        self._workers = workers
        self._clock = clock
        self._stopped = stopped
        self._images = images
        self._not_before: dict[Job, float] = {}
        self._faults: dict[ProjectName, Exception] = {}

    @property
    def faults(self) -> Mapping[ProjectName, str]:
        """What keeps a project's start from working, for people."""
        bug = "a fault in Winslow itself, see the node's log: "
        return {
            project: str(error) if isinstance(error, WinslowError) else f"{bug}{error!r}"
            for project, error in list(self._faults.items())
        }

    @property
    def share_error(self) -> str:
        """Why the share takes no writes, though it can be read."""
        found = (str(error) for error in list(self._faults.values()) if isinstance(error, ShareUnavailable))
        return next(found, "")

    @property
    def files_left(self) -> str:
        """What withstands being removed with its purged project."""
        return "; ".join(str(error) for error in list(self._faults.values()) if isinstance(error, FilesLeft))

    def apply_all(self, actions: Iterable[Action]) -> bool:
        """Each on its own: what keeps one project from moving must not keep the others. True: look again at once."""
        todo = tuple(actions)
        self._forget_faults({action.project for action in todo})
        changed = [self._apply_one(action) for action in todo]
        return any(changed)

    def _forget_faults(self, tried: set[ProjectName]) -> None:
        """What nobody tries any more, because another node or a person went on, is no fault."""
        busy = {job.project for job in self._workers.busy()}
        for project in set(self._faults) - tried - busy:
            self._faults.pop(project, None)

    def _apply_one(self, action: Action) -> bool:
        try:
            changed = self.apply(action)
        except WinslowError as error:
            if self._remember(action.project, error):  # the same one at each tick would fill the log
                log.warning("action_failed", project=action.project, because=action.because, error=str(error))
            return False
        except Exception as error:
            self._remember(action.project, error)
            log.exception("action_crashed", project=action.project, because=action.because)
            return False
        if changed:
            self._faults.pop(action.project, None)
        return changed

    def apply(self, action: Action) -> bool:
        """True if this changed something that the next tick should look at at once."""
        match action:
            case PublishProject(project=project, record=record):
                return self._share.publish_project(project, replace(record, token=new_token()))
            case CreateRun():
                return self._create_run(action)
            case PublishRun(project=project, run=run, record=record):
                log.info("record_published", project=project, run=run.number, because=action.because)
                return self._share.publish_run(project, run.created, replace(record, token=new_token()))
            case FinishRun(project=project, run=run, claim=claim, container=container):
                return self._attempts.finish(project, run, claim, container)
            case StartContainer() | FollowContainer() | StopContainer() | RemoveContainer():
                return self._work_on_container(action)
            case ResolveImage(project=project, image=image, pull=pull):
                return self._work("resolve", f"{image} {pull}", project, lambda: self._images.resolve(image, pull))
            case PrepareImage(project=project, image=image):
                return self._work("prepare", image, project, lambda: self._images.prepare(image))
            case PublishOutput() | Purge() | RemoveRemains():
                return self._work_on_files(action)
            case _:
                assert_never(action)

    def _work_on_container(self, action: StartContainer | FollowContainer | StopContainer | RemoveContainer) -> bool:
        match action:
            case StartContainer(project=project, run=run, claim=claim):
                key = claim_key(project, run, claim)
                return self._work("start", key, project, lambda: self._start(action, key))
            case FollowContainer(project=project, run=run, claim=claim, container=container):
                adopt = self._attempts.adopt
                return self._work("follow", container.key, project, lambda: adopt(project, run, claim, container))
            case StopContainer(project=project, container=container):
                log.info("container_stopping", container=container.key.slug, because=action.because)
                return self._work("stop", container.key, project, lambda: self._stop(action))
            case RemoveContainer(project=project, container=container):
                return self._work("remove", container.key, project, lambda: self._remove(action))

    def _work_on_files(self, action: PublishOutput | Purge | RemoveRemains) -> bool:
        match action:
            case PublishOutput(project=project, run=run):
                return self._work("output", run.number, project, lambda: self._share.publish_output(project, run))
            case Purge(project=project, record=purged):
                return self._work("purge", purged.number, project, lambda: self._share.purge(project, purged))
            case RemoveRemains(project=project, number=number):
                return self._work("empty", number, project, lambda: self._share.remove_remains(project, number))

    def _create_run(self, action: CreateRun) -> bool:
        """RUN, and having won it, its first CLAIM. A crash in between leaves a run that anybody may claim."""
        record = replace(action.record, token=new_token())
        self._images.forget(WantedImage(record.image or "", record.pull))
        if not self._share.publish_project(action.project, record):
            return True
        log.info("run_created", project=action.project, run=record.run, stage=record.stage, because=action.because)
        return self._share.publish_run(action.project, record, replace(action.claim, token=new_token()))

    def _work(self, kind: str, key: Key, project: ProjectName, work: Callable[[], object]) -> bool:
        job = Job(kind, project, key)
        if self._clock.monotonic() < self._not_before.get(job, 0.0):
            return False
        self._workers.start(job, lambda: self._guarded(job, work))
        return False  # its end wakes the loop

    def _guarded(self, job: Job, work: Callable[[], object]) -> None:
        """A fault that may pass is told; it and False (somebody else is at it) are tried again after a pause."""
        try:
            is_held_up = work() is False
        except Exception as error:
            rest = error.after if isinstance(error, TryLater) else PAUSE
            self._not_before[job] = self._clock.monotonic() + rest
            self._remember(job.project, error)
            if isinstance(error, EngineUnavailable):
                self._containers.forget_listing()
            raise
        if is_held_up:
            self._not_before[job] = self._clock.monotonic() + PAUSE
            return
        self._not_before.pop(job, None)
        self._faults.pop(job.project, None)

    def _remember(self, project: ProjectName, error: Exception) -> bool:
        """True if this is news."""
        known = self._faults.get(project)
        if not isinstance(error, Superseded):  # somebody else goes on: no fault
            self._faults[project] = error
        return known is None or str(known) != str(error)

    def _start(self, action: StartContainer, key: ClaimKey) -> None:
        container = self._attempts.start(action.project, action.run, action.claim, key)
        self._faults.pop(action.project, None)  # now, not when the stage has ended
        if container is not None:
            self._attempts.follow(action.project, action.run, action.claim, container)

    def _stop(self, action: StopContainer) -> None:
        if action.because in (SUSPECT, TIMED_OUT):
            if self._containers.has_ended(
                action.container.key
            ):  # by itself, since we looked: its end is to be believed
                return
            self._stopped.remember(action.container.key, action.because)
        self._runtime.stop(action.container)
        self._containers.forget_listing()

    def _remove(self, action: RemoveContainer) -> None:
        self._runtime.remove(action.container)
        self._containers.drop(action.container.key)
        self._stopped.forget(action.container.key)
