"""A node's own configuration: node.yaml, read once at start (``codec.config`` checks it)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from reconciler.core.names import NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """How this node logs in to one; without it as the reconciler's user is logged in by ``docker login``."""

    user: str
    password_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerConfig:
    user: str | None = None  # "uid:gid" of every container; None: the owner of the share's directory
    host: str | None = None  # engine's URL; None: DOCKER_HOST or the local socket
    shm_size: int | None = None  # bytes
    stop_grace: timedelta = timedelta(seconds=30)
    registries: Mapping[str, Registry] = field(default_factory=dict)  # by host, with its port
    keep_below: int = 85  # percent of the engine's disk, above which images go that nobody needs; 100: none ever


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessConfig:
    environment: Mapping[str, str] = field(default_factory=dict)  # beside PATH, HOME, LANG of the reconciler
    stop_grace: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """What stages must leave to the machine itself."""

    cpus: float = 0.0
    memory: int = 0
    disk: int = 0
    gpus: tuple[str, ...] = ()  # beginnings of UUIDs


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Durations as timedelta, sizes in bytes. ``local`` must lie on a local disk and belong to this node alone."""

    name: NodeName
    state_url: str
    share: Path
    local: Path = Path("/var/lib/winslow")
    branch: str = "main"
    observed_branch: str = "observed"
    runtime: str = "docker"  # docker, process or auto
    poll: timedelta = timedelta(seconds=15)
    labels: Mapping[str, str] = field(default_factory=dict)
    listen: str | None = None  # host:port of /healthz, /metrics, /hook; None: off
    advertise: str | None = None  # host:port by which other nodes reach it; None: what ``listen`` says
    hook_token_file: Path | None = None
    secrets_dir: Path | None = None  # one file a secret
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # that notifications may name
    reserve: Reserve = Reserve()
    docker: DockerConfig = DockerConfig()
    process: ProcessConfig = ProcessConfig()
