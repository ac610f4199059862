"""The process runtime: stages as plain processes of the reconciler's user.

What a stage may use is enforced by control groups as far as this machine lets us make any (see ``delegation``); what
is not, ``check`` says. Of GPUs it sees those of its claim. A systemd unit needs ``KillMode=process``, or stopping the
reconciler stops the stages too.
"""

import os
import platform
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.adapters.inputs import input_exists
from reconciler.adapters.process import cgroups, delegation, procfs, state
from reconciler.adapters.process.delegation import Delegation
from reconciler.adapters.process.devices import with_devices
from reconciler.adapters.process.launching import launch
from reconciler.adapters.spawner import HERE, Spawn
from reconciler.agent.ports import LogSummary
from reconciler.codec.log import pointer_of, time_of
from reconciler.codec.log_file import LogFile
from reconciler.config import ProcessConfig
from reconciler.core.containers import ClaimKey, Container, ContainerState, Order
from reconciler.core.labels import NODE, SHARE, key_of, labels_of
from reconciler.core.names import NodeName, ShareId
from reconciler.core.stage_environment import on_node, require_inputs, stage_environment
from reconciler.errors import EngineUnavailable, ShareUnavailable, StartFailed, Transient

INHERITED = ("PATH", "HOME", "LANG")


class ProcessRuntime:
    """``local`` is the node's private directory; state files are kept below it in ``process/``."""

    name = "process"
    images = None

    def __init__(
        self,
        config: ProcessConfig,
        *,
        local: Path,
        boot: str,
        node: NodeName,
        share: ShareId,
        replaced: frozenset[ShareId] = frozenset(),
        spawn: Spawn = HERE,
        delegated: Delegation | None = None,
    ) -> None:
        """``replaced`` are identities that the share had before: what was started under them is still ours to stop.

        ``delegated``: where control groups can be made; None: look for it.
        """
        self._config = config
        self._directory = local / "process"
        self._boot = boot
        self._node = node
        self._shares = {share, *replaced}
        self._spawn = spawn
        self._delegated = delegation.find() if delegated is None else delegated
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineUnavailable(
                f"{self._directory} can't be made: {error.strerror}; see `local` in node.yaml"
            ) from error
        self._renew_limits()

    def check(self) -> Mapping[str, str]:
        return {"process": f"python {platform.python_version()}", "limits": str(self._delegated)}

    def start(self, order: Order, *, image_digest: str | None) -> Container:
        path = str(self._directory / f"{order.key.slug}.json")
        if (found := self._find(path)) is not None:
            return found
        if not order.command:
            raise StartFailed(
                "CommandMissing",
                f"this node runs plain processes, but stage '{order.key.stage}' has no process command: write "
                "`process: {command: [...]}` for the stage in its pipeline, or require a node with docker",
            )
        require_inputs(order, input_exists)
        answer = self._spawn.do(launch, self._spec(order, path))
        if "failed" in answer:
            raise StartFailed(
                "CommandNotFound",
                f"'{order.command[0]}' can't be started: {answer['failed']}; correct the stage's process command, "
                f"or PATH in `process.environment` of this node's node.yaml",
            )
        if "unwritable" in answer:
            raise ShareUnavailable(str(answer["unwritable"]))
        if "unkept" in answer:
            raise EngineUnavailable(str(answer["unkept"]))
        if (found := self._find(path)) is None:
            raise EngineUnavailable(f"the supervisor of {order.key.slug} died while it started; see {path}")
        return found

    def list(self) -> Sequence[Container]:
        found = (self._find(str(path)) for path in sorted(self._directory.glob("*.json")))
        return [container for container in found if container is not None]

    def held(self) -> Mapping[ClaimKey, frozenset[str]]:
        """By what was started from this directory, for any share; another node of this machine keeps its own."""
        found: dict[ClaimKey, frozenset[str]] = {}
        for path in self._directory.glob("*.json"):
            kept = state.read(str(path))
            if kept is not None and kept["gpus"] and self._goes_on(kept) and (key := key_of(kept["labels"])):
                found[key] = frozenset(kept["gpus"])
        return found

    def wait(self, container: Container) -> Container:
        while True:
            found = self._find(container.handle)
            if found is None:
                return _vanished(container)
            if found.state is ContainerState.EXITED:
                return found
            self._await_supervisor(container, timeout=60.0)

    def stop(self, container: Container) -> None:
        """The supervisor asks, waits for the grace and kills; one that does not answer is killed with its program."""
        found = state.read(container.handle)
        if found is None or found["boot"] != self._boot:
            return
        with procfs.held(**found["supervisor"]) as supervisor:
            if supervisor is not None:
                procfs.send(supervisor, signal.SIGTERM)
                if not procfs.has_ended(supervisor, self._config.stop_grace.total_seconds() + 15.0):
                    procfs.send(supervisor, signal.SIGKILL)
                    procfs.has_ended(supervisor, 15.0)
        self._kill_orphans(found)

    def remove(self, container: Container) -> None:
        found = self._find(container.handle)
        if found is not None and found.state is not ContainerState.EXITED:
            raise Transient(f"{container.key.slug} still runs; it is forgotten after its end")
        if (kept := state.read(container.handle)) is not None:
            self._kill_orphans(kept)
            if not cgroups.remove(_groups(kept)):
                raise Transient(f"something that {container.key.slug} started does not die; looking again later")
        Path(container.handle).unlink(missing_ok=True)
        for draft in self._directory.glob(f"{Path(container.handle).name}.*"):  # of supervisors that were killed
            draft.unlink(missing_ok=True)

    def follow_log(self, container: Container, path: str) -> LogSummary:
        """The supervisor writes the log; this waits for it and says what it wrote."""
        self.wait(container)
        try:
            log = LogFile(path)  # cuts off a torn line, if the supervisor was killed while it wrote
            summary = log.tally.summary()
            log.close()
        except OSError as error:
            raise ShareUnavailable(f"{path} can't be read: {error.strerror}") from error
        return LogSummary(pointer=pointer_of(summary, path), results=summary.results)

    def _spec(self, order: Order, path: str) -> state.Spec:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        seen = stage_environment(order, on_node(order))
        limits = {"cpus": f"{order.cpus:g}", "memory": str(order.memory), "pids": str(delegation.MOST_PROCESSES)}
        return {
            "path": path,
            "labels": labels_of(order.key, order.node),
            "boot": self._boot,
            "command": list(order.command),
            "environment": with_devices({**inherited, **self._config.environment, **seen}, order.gpus),
            "workspace": order.paths.workspace,
            "log": f"{order.paths.claim}/log.jsonl",
            "grace": self._config.stop_grace.total_seconds(),
            "groups": self._delegated.groups(order.key.slug, cpus=order.cpus, memory=order.memory),
            "limits": limits,
            "gpus": [gpu.uuid for gpu in order.gpus],
        }

    def _renew_limits(self) -> None:
        """Of what runs: a restart of the service may have lifted them (see docs/node.md)."""
        for path in self._directory.glob("*.json"):
            found = state.read(str(path))
            if found is not None and found["ended_at"] is None and self._lives(found):
                cgroups.make(found["groups"])

    def _find(self, path: str) -> Container | None:
        """The process of this node and share that the state file describes, as it is now."""
        found = state.read(path)
        if found is None:
            return None
        lost = False
        if found["ended_at"] is None and not self._lives(found):
            found = state.read(path) or found  # it may have ended, properly, between the two looks
            lost = found["ended_at"] is None
        labels = found["labels"]
        key = key_of(labels)
        if key is None or labels.get(SHARE) not in self._shares or labels.get(NODE) != self._node:
            return None
        over = lost or found["ended_at"] is not None
        return Container(
            key=key,
            handle=path,
            state=ContainerState.EXITED if over else ContainerState.RUNNING,
            boot=found["boot"],
            exit_code=found["exit_code"],
            error="supervisor vanished" if lost else found["error"],
            started_at=time_of(found["started_at"]),
            ended_at=time_of(found["ended_at"]) if found["ended_at"] else None,
            oom_killed=found["oom_killed"],
            pid=found["program"]["pid"] if found["program"] is not None and not over else None,
            gpus=tuple(found["gpus"]),
            limits={"memory": "0", **found["limits"]},  # 0: none, as engines say it
        )

    def _lives(self, found: state.State) -> bool:
        return found["boot"] == self._boot and procfs.lives(**found["supervisor"])

    def _goes_on(self, found: state.State) -> bool:
        """Is anything of it left? Its program dies with its supervisor, what that one has started may not."""
        if found["boot"] != self._boot:
            return False
        known = [found["supervisor"], *([found["program"]] if found["program"] is not None else [])]
        is_open = found["ended_at"] is None and any(procfs.lives(**identity) for identity in known)
        return is_open or cgroups.has_members(_groups(found))

    def _await_supervisor(self, container: Container, timeout: float) -> None:
        found = state.read(container.handle)
        if found is not None and found["boot"] == self._boot:
            with procfs.held(**found["supervisor"]) as supervisor:
                if supervisor is not None:
                    procfs.has_ended(supervisor, timeout)

    def _kill_orphans(self, found: state.State) -> None:
        """The first process dies with its supervisor; what that one had started may not have."""
        if found["boot"] != self._boot:
            return
        if found["program"] is not None:
            procfs.kill_session(found["program"]["pid"], found["program"]["start"])
        cgroups.kill(_groups(found))


def _groups(found: state.State) -> list[str]:
    return [group["path"] for group in found["groups"]]


def _vanished(container: Container) -> Container:
    return Container(
        key=container.key,
        handle=container.handle,
        state=ContainerState.EXITED,
        boot=container.boot,
        error="its state file is gone",
        started_at=container.started_at,
    )
