"""Validated data to the core's types. Everything here has passed ``validate`` and ``checks``."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.codec.quantities import duration, memory
from reconciler.core.desired import (
    Command,
    Confirm,
    Email,
    Environment,
    Forge,
    Gpus,
    Limit,
    Network,
    Next,
    NodePolicy,
    Notification,
    OnSuspect,
    Pins,
    Pipeline,
    Project,
    Pull,
    Requires,
    Retries,
    Secret,
    Site,
    Stage,
    StageOverride,
    Strategy,
    Then,
    Unchanged,
    Webhook,
    Workspace,
)
from reconciler.core.names import Blob, PipelineName, ProjectName, StageName

Data = Mapping[str, Any]


def environment(data: Data | None) -> Environment:
    return {
        name: Secret(value["secret"]) if isinstance(value, Mapping) else value for name, value in (data or {}).items()
    }


def requires(data: Data, base: Requires) -> Requires:
    """``base`` with what ``data`` names, field by field."""
    return Requires(
        cpus=float(data.get("cpus", base.cpus)),
        memory=memory(data["memory"]) if "memory" in data else base.memory,
        disk=memory(data["disk"]) if "disk" in data else base.disk,
        gpus=_gpus(data.get("gpus", {}), base.gpus),
        labels={**base.labels, **data.get("labels", {})},
    )


def _gpus(data: Data | int, base: Gpus) -> Gpus:
    """A bare number is short for its count."""
    if isinstance(data, int):
        return replace(base, count=data)
    return Gpus(
        count=data.get("count", base.count),
        vendor=data.get("vendor", base.vendor),
        memory=memory(data["memory"]) if "memory" in data else base.memory,
        model=data.get("model", base.model),
        capability=data.get("capability", base.capability),
        share=data.get("share", base.share),
    )


def retries(data: Data, base: Retries) -> Retries:
    return Retries(
        limit=data.get("limit", base.limit),
        backoff=duration(data["backoff"]) if "backoff" in data else base.backoff,
        exit_codes=tuple(data.get("exit_codes", base.exit_codes)),
    )


def stage(data: Data, site_defaults: Data) -> Stage:
    return Stage(
        name=StageName(data["name"]),
        image=data.get("image"),
        command=tuple(data.get("command", ())),
        process_command=tuple(data.get("process", {}).get("command", ())),
        environment=environment(data.get("environment")),
        requires=requires(data.get("requires", {}), Requires()),
        requires_environment=tuple(data.get("requires_environment", ())),
        timeout=_optional_duration(data.get("timeout", site_defaults.get("timeout"))),
        ttl=_optional_duration(data.get("ttl")),
        retries=retries(data.get("retries", {}), retries(site_defaults.get("retries", {}), Retries())),
        confirm=Confirm(data.get("confirm", Confirm.NEVER)),
        workspace=Workspace(data.get("workspace", Workspace.CONTINUE)),
        network=Network(data.get("network", Network.NONE)),
        on_suspect=OnSuspect(data.get("on_suspect", OnSuspect.KEEP)),
        shm_size=memory(data["shm_size"]) if "shm_size" in data else None,
        pull=Pull(data.get("pull", Pull.MISSING)),
        skip_unchanged=data.get("skip_unchanged", False),
    )


def pipeline(data: Data, *, id: PipelineName, path: str, blob: Blob, site_defaults: Data) -> Pipeline:
    return Pipeline(
        id=id,
        name=data.get("name", id),
        path=path,
        blob=blob,
        description=data.get("description", ""),
        environment=environment(data.get("environment")),
        stages=tuple(stage(entry, site_defaults) for entry in data["stages"]),
    )


def project(data: Data, *, id: ProjectName, pipeline: PipelineName, path: str, blob: Blob) -> Project:
    """Without folder defaults and without ``stages``, which need the pipeline: see ``overrides``."""
    return Project(
        id=id,
        name=data.get("name", id),
        pipeline=pipeline,
        path=path,
        blob=blob,
        tags=tuple(data.get("tags", ())),
        inputs=tuple(data.get("inputs", ())),
        environment=environment(data.get("environment")),
        paused=data.get("paused", False),
        next=_next(data["next"]) if "next" in data else None,
        abort=data.get("abort"),
        priority=data.get("priority", 0),
    )


def overrides(data: Data, pipeline: Pipeline | None) -> Mapping[StageName, StageOverride]:
    """A project's ``stages``; a partial ``requires`` is completed from the pipeline's stage."""
    complete: dict[StageName, StageOverride] = {}
    for name, change in data.get("stages", {}).items():
        found = pipeline.stage(name) if pipeline else None
        complete[StageName(name)] = StageOverride(
            environment=environment(change.get("environment")),
            requires=requires(change["requires"], found.requires if found else Requires())
            if "requires" in change
            else None,
            timeout=_optional_duration(change.get("timeout")),
        )
    return complete


def node_policy(data: Data) -> NodePolicy:
    limits = data.get("limits", {})
    return NodePolicy(
        labels=data.get("labels", {}),
        drained=data.get("drained", False),
        hand_over=data.get("hand_over", False),
        cpus=float(limits["cpus"]) if "cpus" in limits else None,
        memory=memory(limits["memory"]) if "memory" in limits else None,
        gpus=limits.get("gpus"),
    )


def site(data: Data) -> Site:
    usual, placement, limits = Site(), data.get("placement", {}), data.get("limits", {})
    return Site(
        environment=environment(data.get("environment")),
        forge=_forge(data["forge"]) if "forge" in data else None,
        proposals=data.get("proposals", usual.proposals),
        notifications=tuple(_notification(entry) for entry in data.get("notifications", ())),
        retention=duration(data["retention"]) if "retention" in data else usual.retention,
        confirm_deletion=data.get("confirm_deletion"),
        heartbeat=_optional_duration(data.get("heartbeat")) or usual.heartbeat,
        ttl=_optional_duration(data.get("ttl")) or usual.ttl,
        strategy=Strategy(placement.get("strategy", usual.strategy)),
        reserve_after=_optional_duration(placement.get("reserve_after")) or usual.reserve_after,
        tag_limits={tag: _limit(most) for tag, most in limits.get("tags", {}).items()},
        project_limits={ProjectName(name): _limit(most) for name, most in limits.get("projects", {}).items()},
    )


def _limit(data: Data) -> Limit:
    return Limit(
        gpus=data.get("gpus"),
        cpus=float(data["cpus"]) if "cpus" in data else None,
        memory=memory(data["memory"]) if "memory" in data else None,
        stages=data.get("stages"),
    )


def _forge(data: Data) -> Forge:
    return Forge(
        kind=data["kind"],
        url=data["url"],
        api=data.get("api"),
        token=_secret(data.get("token")),
        commit_status=data.get("commit_status", False),
    )


def _notification(data: Data) -> Notification:
    """Exactly one sink is there: ``checks`` has made sure."""
    usual = Notification(name="", sink=Command(name=""))
    return Notification(
        name=data["name"],
        sink=_sink(data),
        phases=tuple(data.get("phases", usual.phases)),
        tags=tuple(data.get("tags", usual.tags)),
    )


def _sink(data: Data) -> Webhook | Email | Command:
    if "webhook" in data:
        url = data["webhook"]["url"]
        return Webhook(
            url=url if isinstance(url, str) else Secret(url["secret"]),
            key=_secret(data["webhook"].get("secret")),
        )
    if "command" in data:
        return Command(name=data["command"])
    mail = data["email"]
    return Email(
        to=tuple(mail["to"]),
        sender=mail["from"],
        host=mail["host"],
        port=mail.get("port"),
        security=mail.get("security", "none"),
        user=mail.get("user"),
        password=_secret(mail.get("password")),
    )


def _secret(data: Data | None) -> Secret | None:
    return None if data is None else Secret(data["secret"])


def _next(data: Data) -> Next:
    return Next(
        stage=StageName(data["stage"]),
        after=data.get("after"),
        base=data.get("from"),
        then=Then(data.get("then", Then.CONTINUE)),
        environment=environment(data.get("environment")),
        pins=_pins(data.get("pins", {})),
        unchanged=Unchanged(data.get("unchanged", Unchanged.RUN)),
        id=data.get("id"),
    )


def _pins(data: Data) -> Pins:
    return Pins(
        image=data.get("image"),
        command=tuple(data.get("command", ())),
        process_command=tuple(data.get("process", {}).get("command", ())),
    )


def _optional_duration(text: str | None) -> timedelta | None:
    return None if text is None else duration(text)
