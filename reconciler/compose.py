"""Putting the parts together: the one place that knows which adapter stands behind which port."""

import asyncio
import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TextIO

import structlog

from reconciler.adapters.docker import DockerRuntime
from reconciler.adapters.forge import open_forge
from reconciler.adapters.git import (
    GitSource,
    GitTree,
    NotedRecords,
    ObservedBranch,
    ProposalBranches,
    StateRepository,
)
from reconciler.adapters.health import ask_node
from reconciler.adapters.hints import watch_local
from reconciler.adapters.host import LinuxHost, SystemClock
from reconciler.adapters.notify import open_sink
from reconciler.adapters.process.runtime import ProcessRuntime
from reconciler.adapters.sampling import MachineLoad, RunUse
from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.files import MOUNTED
from reconciler.adapters.share.rings import Rings
from reconciler.adapters.spawner import HERE, Spawn
from reconciler.agent import lifetime
from reconciler.agent.followers.forges import CurrentForge
from reconciler.agent.followers.notifying import Notifying
from reconciler.agent.followers.proposing import Proposing
from reconciler.agent.followers.reporting import CommitReporter
from reconciler.agent.followers.telling import Sink
from reconciler.agent.health import AgentHealth
from reconciler.agent.http import node_app, serve
from reconciler.agent.lifetime import unless_stopped
from reconciler.agent.loop import Loop, Wakeup, in_thread
from reconciler.agent.measuring import Measuring
from reconciler.agent.node import Agent
from reconciler.agent.patience import Patience, timed
from reconciler.agent.ports import Host, Runtime
from reconciler.agent.secrets import Secrets
from reconciler.agent.tidying import tidy
from reconciler.codec.desired import load
from reconciler.codec.parsed import Cache
from reconciler.config import NodeConfig
from reconciler.core.desired import Desired, Notification
from reconciler.core.names import Commit, ShareId
from reconciler.errors import BadInput, EngineUnavailable
from reconciler.readers import Reader
from reconciler.readers.live import LiveReader
from reconciler.readers.observed import ObservedReader

log = structlog.get_logger()

LET_GO = 2.0
"""Seconds for which a killed reconciler's lock may outlive it: a git that it was starting has it until its exec."""


def open_reader(config: NodeConfig, *, purpose: str) -> LiveReader:
    """Everything, from the share and the state repository."""
    repository = open_repository(config, purpose=purpose)
    source = GitSource(repository, _loader())
    boot = LinuxHost().boot()
    return LiveReader(config, source, NotedRecords(repository), SystemClock(), ask=ask_node, boot=boot)


def open_repository(config: NodeConfig, *, purpose: str) -> StateRepository:
    """The state repository through this program's own clone; ``purpose`` names it.

    The clone lies in the node's private directory if we may write there, else in the user's cache.
    """
    name = hashlib.sha256(config.state_url.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "winslow"
    existing = next(path for path in (config.local, *config.local.parents) if path.exists())
    home = config.local if os.access(existing, os.W_OK) else cache
    return _repository(config, home / f"{purpose}-{name}.git")


def open_clone_reader(clone: Path) -> Reader:
    """What the branch ``observed`` of any clone says."""
    return ObservedReader(clone)


async def run_node(config: NodeConfig, stop: asyncio.Event, *, hand_over: bool = False, spawn: Spawn = HERE) -> bool:
    """Be a node until ``stop`` is set. BadInput if this node must not run (any more).

    With ``hand_over`` our stages are stopped and their claims released at the end; else they go on, and the next start
    adopts them. False if the share hung at the end: then the process must not wait for anything that touches it.
    """
    with alone(config.local) as home:
        wake = Wakeup()
        clock = SystemClock()
        patience = Patience(clock, config.share)
        health = AgentHealth(config.name, patience, clock)
        others = [asyncio.create_task(_serve(config, health, stop))] if config.listen else []

        def joined() -> Agent:
            agent = _agent(config, home, clock, wake, patience, spawn)
            agent.join()
            agent.measured.start(agent.containers)
            return agent

        agent = await unless_stopped(stop, joined, others)
        if agent is None:
            return patience.waited < lifetime.LEAVE_WITHIN
        loop = Loop(agent, clock, wake)
        health.runs(agent, loop)
        ending = asyncio.create_task(_pass_on(stop, loop.stop))
        tidying = asyncio.create_task(tidy(agent))
        try:
            await loop.run(watch_local(config.state_url, branch=config.branch), others)
            released = await lifetime.hand_over(agent) if hand_over else True
        finally:
            ending.cancel()
            tidying.cancel()
            await in_thread(agent.measured.stop)
            has_left = await lifetime.leave(agent)
        return released and has_left


async def _pass_on(stop: asyncio.Event, to: asyncio.Event) -> None:
    await stop.wait()
    to.set()


async def _serve(config: NodeConfig, health: AgentHealth, stop: asyncio.Event) -> None:
    token = _hook_token(config.hook_token_file) if config.hook_token_file else None
    await serve(node_app(health, health.wake, token), config.listen or "", stop)


def _hook_token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadInput(
            f"hook_token_file: {file} can't be read ({why}); put a token there, or take the line out of node.yaml"
        ) from error


def _agent(config: NodeConfig, home: str, clock: SystemClock, wake: Wakeup, patience: Patience, spawn: Spawn) -> Agent:
    host = LinuxHost()
    files = timed(MOUNTED, patience)
    share = SharedDirectory(config.share, writer=f"{config.name}.{token_hex(4)}", files=files)
    identity, replaced = share.identity(), share.replaced()
    repository = _repository(config, config.local / "state.git", spawn)
    secrets = Secrets(config.secrets_dir)
    runtime = open_runtime(config, identity, host, replaced=replaced, spawn=spawn)
    agent = Agent(
        config,
        share=share,
        source=GitSource(repository, _loader()),
        observed=ObservedBranch(repository, config.name),
        runtime=runtime,
        host=host,
        clock=clock,
        home=home,
        wake=wake,
        ask=ask_node,
        measured=_measuring(config, runtime, host, clock),
        patience=patience,
        followers=(
            Proposing(ProposalBranches(repository, config.name), current_forge(config, secrets), clock),
            Notifying(share, clock, sink_opener(config)),
            CommitReporter(share, current_forge(config, secrets), clock, observed_branch=config.observed_branch),
        ),
    )
    if isinstance(runtime, DockerRuntime):
        runtime.watch(agent.look_at_engine)
    return agent


def _measuring(config: NodeConfig, runtime: Runtime, host: LinuxHost, clock: SystemClock) -> Measuring:
    """With a share of its own: whatever hangs there, nobody else waits for it."""
    share = SharedDirectory(config.share, writer=f"{config.name}.{token_hex(4)}")
    return Measuring(
        config.name,
        machine=MachineLoad(),
        runs=RunUse(by_session=isinstance(runtime, ProcessRuntime), now=clock.monotonic),
        gpus=host,
        rings=Rings(share),
        clock=clock,
    )


def current_forge(config: NodeConfig, secrets: Secrets) -> CurrentForge:
    """One for each follower that asks the forge: they run on threads of their own."""
    return CurrentForge(secrets, partial(open_forge, branch=config.branch))


def sink_opener(config: NodeConfig) -> Callable[[Notification], Sink]:
    """Ways to tell people, with this node's secrets and commands."""
    return partial(open_sink, read=Secrets(config.secrets_dir).read, commands=config.commands)


def open_history(repository: StateRepository) -> Callable[[Commit], Desired]:
    """main's files at any of its commits. SourceUnavailable if that is not there (any more)."""
    loader = _loader()

    def read(commit: Commit) -> Desired:
        with repository.tree(commit) as tree:
            return loader(tree)

    return read


def open_runtime(
    config: NodeConfig,
    share: ShareId,
    host: Host,
    *,
    replaced: frozenset[ShareId] = frozenset(),
    spawn: Spawn = HERE,
) -> Runtime:
    """The runtime that node.yaml asks for; ``auto`` takes Docker if its engine answers, else plain processes."""
    if config.runtime in ("docker", "auto"):
        docker = DockerRuntime(config.docker, share=share, node=config.name, boot=host.boot(), replaced=replaced)
        try:
            docker.check()
        except EngineUnavailable as error:
            if config.runtime == "docker":
                log.warning("engine_unavailable", error=str(error))
                return docker
            log.info("runtime_chosen", runtime="process", because=str(error))
        else:
            return docker
    return ProcessRuntime(
        config.process,
        local=config.local,
        share=share,
        node=config.name,
        boot=host.boot(),
        replaced=replaced,
        spawn=spawn,
    )


def _repository(config: NodeConfig, clone: Path, spawn: Spawn = HERE) -> StateRepository:
    return StateRepository(
        config.state_url, clone, branch=config.branch, observed_branch=config.observed_branch, spawn=spawn
    )


def _loader() -> Callable[[GitTree], Desired]:
    cache = Cache()
    return lambda tree: load(tree, cache)


@contextmanager
def alone(local: Path) -> Iterator[str]:
    """Hold this node's private directory; yields the identity of the installation that it is.

    The lock dies with the process, whatever kills it. BadInput if another reconciler holds it. A copy of the directory
    has a lock of its own, and hence must not pass for the same installation: the identity names the lock it goes with.
    """
    with _locked(local) as lock:
        found = os.fstat(lock.fileno())
        identity, place = local / "home", f"@{found.st_dev}:{found.st_ino}"
        if not identity.exists() or not identity.read_text(encoding="utf-8").endswith(place):
            draft = local / "home.part"
            draft.write_text(f"{uuid.uuid4()}{place}", encoding="utf-8")
            draft.rename(identity)
        yield identity.read_text(encoding="utf-8")


def _locked(local: Path) -> TextIO:
    """The lock's open file. Only what goes wrong here is about ``local``, whatever happens to the node later."""
    with ExitStack() as opened:
        try:
            local.mkdir(parents=True, exist_ok=True)
            file = opened.enter_context((local / "lock").open("a+", encoding="utf-8"))
            _lock(file)
        except BlockingIOError as error:
            raise BadInput(f"a reconciler runs already with local: {local}; stop it, or write another local") from error
        except OSError as error:
            raise BadInput(
                f"local: {local} can't be used by this user ({error.strerror}); write another directory in node.yaml"
            ) from error
        opened.pop_all()
        return file


def _lock(file: TextIO) -> None:
    """BlockingIOError if another process holds it, and not just for the moment in which it dies."""
    give_up_at = time.monotonic() + LET_GO
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
