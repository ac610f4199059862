"""The docker runtime: one container an attempt, found again by its labels and never removed by the engine itself."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import docker
import requests
from docker.errors import APIError, ImageNotFound, NotFound

from reconciler.adapters.docker.creation import creation
from reconciler.adapters.docker.engine import (
    WORK,
    Engine,
    command_not_found,
    start_failed,
    words,
)
from reconciler.adapters.docker.events import watch
from reconciler.adapters.docker.facts import facts
from reconciler.adapters.docker.found import created_container, found_container
from reconciler.adapters.docker.held import holders, require_free
from reconciler.adapters.docker.images import DockerImages
from reconciler.adapters.docker.logs import Follower
from reconciler.adapters.docker.since import engine_since
from reconciler.adapters.inputs import input_exists
from reconciler.agent.ports import LogSummary
from reconciler.codec.log import pointer_of
from reconciler.codec.log_file import LogFile
from reconciler.config import DockerConfig
from reconciler.core.containers import ClaimKey, Container, ContainerState, Order
from reconciler.core.image_names import is_exact
from reconciler.core.labels import NODE, SHARE
from reconciler.core.names import NodeName, ShareId
from reconciler.core.stage_environment import require_inputs
from reconciler.errors import GpuLost, ShareUnavailable, StartFailed, Transient

NOT_EXECUTABLE = {126, 127}


class DockerRuntime:
    """Thread-safe: one connection pool serves the waits and logs of all stages."""

    name = "docker"

    def __init__(
        self,
        config: DockerConfig,
        *,
        boot: str,
        node: NodeName,
        share: ShareId,
        replaced: frozenset[ShareId] = frozenset(),
    ) -> None:
        """``replaced`` are identities that the share had before: what was started under them is still ours to stop."""
        self._config = config
        self._boot = boot
        self._node = node
        self._share = share
        self._labels = [f"{SHARE}={share}", f"{NODE}={node}"]
        self._replaced = [[f"{SHARE}={former}", f"{NODE}={node}"] for former in sorted(replaced)]
        self._engine = Engine(config.host)
        self.images = DockerImages(self._engine, config)

    def close(self) -> None:
        self._engine.close()

    def check(self) -> Mapping[str, str]:
        with self._engine.asked() as api:
            return facts(api.info())

    def start(self, order: Order, *, image_digest: str | None) -> Container:
        if order.image is None:
            raise StartFailed(
                "ImageMissing",
                f"this node runs containers, but stage '{order.key.stage}' names no image: write `image:` for it in "
                "its pipeline, or require a node with the process runtime",
            )
        require_inputs(order, input_exists)
        container = self._create(order, image_digest or order.image)
        if container.state is ContainerState.CREATED:
            self._start(container, order)
            container = replace(container, state=ContainerState.RUNNING)
        return container

    def list(self) -> Sequence[Container]:
        with self._engine.asked() as api:
            kinds = [self._labels, *self._replaced]
            listed = [one for labels in kinds for one in api.containers(all=True, filters={"label": labels})]
        found = (created_container(one) if one["State"] == "created" else self._inspect(one["Id"]) for one in listed)
        return [container for container in found if container is not None]

    def held(self) -> Mapping[ClaimKey, frozenset[str]]:
        with self._engine.asked() as api:
            return {holder.key: holder.gpus for holder in holders(api)}

    def watch(self, tell: Callable[[], None]) -> None:
        """From now on, call ``tell`` whenever something may have happened to these containers. A hint, no more."""
        watch(self._engine, self._labels, tell)

    def wait(self, container: Container) -> Container:
        """The engine is asked at least once a minute whether it is still there."""
        while True:
            with self._engine.asked() as api, contextlib.suppress(NotFound, requests.RequestException):
                api.wait(container.handle, timeout=60)  # cut off or not: what it is now decides
            found = self._inspect(container.handle)
            if found is None:
                return replace(container, state=ContainerState.EXITED, removed=True)
            if found.state is not ContainerState.RUNNING:
                return self._explained(found)

    def stop(self, container: Container) -> None:
        with self._engine.asked(WORK) as api, contextlib.suppress(NotFound):
            api.stop(container.handle, timeout=int(self._config.stop_grace.total_seconds()))

    def remove(self, container: Container) -> None:
        with self._engine.asked(WORK) as api:
            try:
                api.remove_container(container.handle, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:
                    raise
                if "in progress" not in words(error):
                    raise Transient(f"{container.key.slug} still runs; it is removed after its end") from error

    def follow_log(self, container: Container, path: str) -> LogSummary:
        try:
            log = LogFile(path)
        except OSError as error:
            raise ShareUnavailable(f"{path} can't be opened: {error.strerror}") from error
        try:
            summary = Follower(self._engine, container.handle, log).follow()
        finally:
            _close(log, path)
        return LogSummary(pointer=pointer_of(summary, path), results=summary.results)

    def _create(self, order: Order, image: str) -> Container:
        """The created container, or the one that has its name already because it is this very attempt's."""
        with self._engine.asked(WORK) as api:
            asked = creation(api, order, self._config, image=image, boot=self._boot)
            try:
                created = str(api.create_container(**asked)["Id"])
            except ImageNotFound:  # removed since it was resolved
                image = self._provided_anew(order, image)
                asked = creation(api, order, self._config, image=image, boot=self._boot)
                created = str(api.create_container(**asked)["Id"])
            except APIError as error:
                if error.status_code == 409:
                    return self._existing(order.key)
                raise start_failed(error, image=image, command=order.command) or error from error
        return Container(
            key=order.key, handle=created, state=ContainerState.CREATED, boot=self._boot, image_digest=image
        )

    def _provided_anew(self, order: Order, image: str) -> str:
        exact = image if is_exact(image) else None
        return self.images.provide(order.image or image, exact, order.pull, lambda _: None).reference

    def _existing(self, key: ClaimKey) -> Container:
        found = self._inspect(key.slug)
        if found is None or found.key != key:
            raise StartFailed(
                "NameTaken",
                f"a foreign container is called {key.slug}; look at it with `docker inspect {key.slug}` and remove it",
            )
        return found

    def _start(self, container: Container, order: Order) -> None:
        """A container that can't start is removed at once: nothing of it would be worth a look."""
        with self._engine.asked(WORK) as api:
            try:
                require_free(api, order)
                api.start(container.handle)
            except GpuLost:
                _discard(api, container)
                raise
            except APIError as error:
                failed = start_failed(error, image=order.image or "", command=order.command)
                if failed is None:
                    raise
                _discard(api, container)
                raise failed from error

    def _inspect(self, name: str) -> Container | None:
        """What it is now; of one that has ended also whether its engine may have been another one."""
        with self._engine.asked() as api:
            try:
                found = found_container(api.inspect_container(name))
            except NotFound:
                return None
            if found is None or found.ended_at is None:
                return found
            since = engine_since(self._config.host)
            if since is None or found.started_at is None or found.started_at > since:
                return replace(found, engine_since=since)
            return replace(found, engine_since=since, live_restore=bool(api.info()["LiveRestoreEnabled"]))

    def _explained(self, container: Container) -> Container:
        """With an init process a missing command shows only as an exit code, and in what init printed."""
        if container.exit_code not in NOT_EXECUTABLE or container.error:
            return container
        with self._engine.asked() as api, contextlib.suppress(NotFound):
            inspected = api.inspect_container(container.handle)["Config"]
            said = api.logs(container.handle, stdout=False, stderr=True, tail=1).decode(errors="replace").strip()
            if said.startswith("[FATAL tini"):
                error = command_not_found(inspected["Image"], tuple(inspected["Cmd"] or ()), said)
                return replace(container, error=error)
        return container


def _discard(api: docker.APIClient, container: Container) -> None:
    with contextlib.suppress(APIError):
        api.remove_container(container.handle, v=True)


def _close(log: LogFile, path: str) -> None:
    try:
        log.close()
    except OSError as error:
        raise ShareUnavailable(f"{path} can't be written: {error.strerror}") from error
