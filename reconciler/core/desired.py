"""Desired state: what people wrote in git, checked and typed.

Everything here is the outcome of validation (``codec``); a value of these types is already sane.
Durations are ``timedelta``, memory is bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from reconciler.core.names import Blob, Commit, NodeName, PipelineName, ProjectName, RunNumber, StageName
from reconciler.core.problems import Problem


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that lives on the nodes only: looked up there by name at start, never recorded."""

    secret: str


EnvironmentValue = str | Secret | None
"""``None`` unsets a variable that a weaker level set."""

Environment = Mapping[str, EnvironmentValue]


class Confirm(StrEnum):
    NEVER = "never"
    BEFORE = "before"
    ONCE = "once"


class Workspace(StrEnum):
    CONTINUE = "continue"
    FRESH = "fresh"


class Network(StrEnum):
    NONE = "none"
    BRIDGE = "bridge"


class OnSuspect(StrEnum):
    """What becomes of a stage whose node can't reach the share for so long that others may have taken it over."""

    KEEP = "keep"
    STOP = "stop"


class Pull(StrEnum):
    """When a node asks the registry for a stage's image."""

    ALWAYS = "always"
    MISSING = "missing"
    NEVER = "never"


class Strategy(StrEnum):
    """How stages are laid over nodes that fit equally well."""

    SPREAD = "spread"
    PACK = "pack"


class Then(StrEnum):
    CONTINUE = "continue"
    PAUSE = "pause"


class Unchanged(StrEnum):
    """What becomes of a request for a stage that says ``skip_unchanged``, if nothing has changed."""

    RUN = "run"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    count: int = 0
    vendor: str = "nvidia"
    memory: int = 0  # bytes a GPU, at least
    model: str = ""  # part of the model's name, in any case
    capability: str = ""  # CUDA compute capability, at least: "8.6"
    share: bool = False  # other stages that say so may use the same devices, as far as ``memory`` reaches


@dataclass(frozen=True, slots=True, kw_only=True)
class Requires:
    """What a stage needs of a node. cpus may be a fraction; memory and disk in bytes."""

    cpus: float = 1.0
    memory: int = 0
    disk: int = 0  # on the node's own disk, for what the program writes outside its directories
    gpus: Gpus = Gpus()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a run may be tried again after a lost node or a transient fault (not: a failing program)."""

    limit: int = 2
    backoff: timedelta = timedelta(minutes=1)
    exit_codes: tuple[int, ...] = ()  # these ends of the program count as transient too


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    name: StageName
    image: str | None = None
    command: tuple[str, ...] = ()  # empty: the image's own
    process_command: tuple[str, ...] = ()  # only for the process runtime
    environment: Environment = field(default_factory=dict)
    requires: Requires = Requires()
    requires_environment: tuple[str, ...] = ()
    timeout: timedelta | None = None
    ttl: timedelta | None = None  # how long its node may be silent; None: the site's
    retries: Retries = Retries()
    confirm: Confirm = Confirm.NEVER
    workspace: Workspace = Workspace.CONTINUE
    network: Network = Network.NONE
    on_suspect: OnSuspect = OnSuspect.KEEP
    shm_size: int | None = None  # bytes of /dev/shm; None: the engine's default
    pull: Pull = Pull.MISSING
    skip_unchanged: bool = False  # reuse a run of the same inputs, image, command and environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    id: PipelineName  # the file's stem
    name: str
    path: str
    blob: Blob
    description: str = ""
    environment: Environment = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()

    def stage(self, name: StageName) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What one run takes instead of its pipeline's words, so that it repeats an earlier one."""

    image: str | None = None  # with its digest
    command: tuple[str, ...] = ()
    process_command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """ "Start this stage, provided that the project's last run is still number ``after``"."""

    stage: StageName
    after: RunNumber | None = None
    base: RunNumber | None = None  # written `from`
    then: Then = Then.CONTINUE
    environment: Environment = field(default_factory=dict)
    pins: Pins = Pins()
    unchanged: Unchanged = Unchanged.RUN  # who asks for a stage mostly wants to see it run
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOverride:
    """What a project changes about one stage of its pipeline. ``None`` leaves the pipeline's value."""

    environment: Environment = field(default_factory=dict)
    requires: Requires | None = None  # complete: the stage's own values where the project names none
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    id: ProjectName  # the file's stem
    name: str
    pipeline: PipelineName
    path: str
    blob: Blob
    digest: str = ""  # of all that it is made from: its own file, its folders' and pipeline's, the site's part
    tags: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Environment], ...] = ()  # folder defaults' environments with their paths, weakest first
    environment: Environment = field(default_factory=dict)
    stages: Mapping[StageName, StageOverride] = field(default_factory=dict)
    paused: bool = False
    next: Next | None = None
    abort: RunNumber | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePolicy:
    """What people say about a node in git."""

    labels: Mapping[str, str] = field(default_factory=dict)
    drained: bool = False
    hand_over: bool = False  # drained at once: its stages are stopped and released to other nodes
    cpus: float | None = None  # limits: use at most this much
    memory: int | None = None
    gpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    kind: str  # gitlab, github, forgejo or gitea
    url: str  # of the repository's web page, without a trailing slash
    api: str | None = None  # base of the API; None: the kind's usual one at the url's host
    token: Secret | None = None
    commit_status: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    url: str | Secret  # chats take whoever knows the address for a friend: it may be a secret itself
    key: Secret | None = None  # of the HMAC-SHA256 signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    to: tuple[str, ...]
    sender: str  # written `from`
    host: str
    port: int | None = None  # None: 25, 587 with starttls, 465 with tls
    security: str = "none"  # none, starttls, tls
    user: str | None = None
    password: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program that the nodes' own node.yaml names: git alone can't make a node run one."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Who is told of which transitions. ``phases`` are words of ProjectPhase; no tags: all projects."""

    name: str
    sink: Webhook | Email | Command
    phases: tuple[str, ...] = ("AwaitingInput", "Failed", "Succeeded", "Invalid")
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The most that the open claims of one tag or project may hold on all nodes together. None: no limit."""

    gpus: int | None = None
    cpus: float | None = None
    memory: int | None = None  # bytes
    stages: int | None = None  # running at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    environment: Environment = field(default_factory=dict)
    forge: Forge | None = None
    proposals: bool = True  # offer branches where a project waits for a person
    notifications: tuple[Notification, ...] = ()
    retention: timedelta = timedelta(days=7)  # of a deleted project's files
    confirm_deletion: str | None = None  # (the beginning of) the commit that deletes many projects and is meant to
    heartbeat: timedelta = timedelta(seconds=5)
    ttl: timedelta = timedelta(seconds=60)
    strategy: Strategy = Strategy.SPREAD
    reserve_after: timedelta = timedelta(minutes=10)  # then a node is kept free for a stage that waits
    tag_limits: Mapping[str, Limit] = field(default_factory=dict)
    project_limits: Mapping[ProjectName, Limit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The state repository at one commit; a broken file is represented by its last good version, if any."""

    commit: Commit
    site: Site = Site()
    pipelines: Mapping[PipelineName, Pipeline] = field(default_factory=dict)
    projects: Mapping[ProjectName, Project] = field(default_factory=dict)
    nodes: Mapping[NodeName, NodePolicy] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    stale: Mapping[str, Commit] = field(default_factory=dict)  # path -> commit of the last good version in use
    removed: Mapping[ProjectName, Commit] = field(default_factory=dict)  # gone project -> what took it, newest first
