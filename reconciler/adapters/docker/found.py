"""A container as the engine describes it, in the core's words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.adapters.docker.devices import held_devices
from reconciler.core.containers import Container, ContainerState
from reconciler.core.labels import BOOT, IMAGE, devices_of, key_of

_STATES = {"created": ContainerState.CREATED, "exited": ContainerState.EXITED, "dead": ContainerState.EXITED}


def found_container(inspected: Mapping[str, Any]) -> Container | None:
    """None: it carries no claim's labels."""
    labels = inspected["Config"].get("Labels") or {}
    key = key_of(labels)
    if key is None:
        return None
    now, host = inspected["State"], inspected["HostConfig"]
    state = _STATES.get(now["Status"], ContainerState.RUNNING)  # paused, restarting, removing: not ended yet
    ended = state is ContainerState.EXITED
    ended_at = _time(now["FinishedAt"]) if ended else None
    started_at = _time(now["StartedAt"])
    if started_at is not None and ended_at is not None:
        started_at = min(started_at, ended_at)  # of a very short program the engine notes the start too late
    return Container(
        key=key,
        handle=inspected["Id"],
        state=state,
        boot=labels.get(BOOT, ""),
        paused=bool(now.get("Paused")),
        exit_code=now["ExitCode"] if ended else None,
        oom_killed=bool(now.get("OOMKilled")),
        error=now.get("Error") or "",
        started_at=started_at,
        ended_at=ended_at,
        image_digest=labels.get(IMAGE) or inspected.get("Image"),
        pid=now.get("Pid") or None,
        gpus=held_devices(inspected),
        limits=_limits(host),
    )


def created_container(listed: Mapping[str, Any]) -> Container | None:
    """Of one that was never started the listing says enough; to inspect it would wait for a start under way."""
    labels = listed.get("Labels") or {}
    key = key_of(labels)
    if key is None:
        return None
    return Container(
        key=key,
        handle=listed["Id"],
        state=ContainerState.CREATED,
        boot=labels.get(BOOT, ""),
        image_digest=labels.get(IMAGE) or listed.get("ImageID"),
        gpus=devices_of(labels) or (),
    )


def _limits(host: Mapping[str, Any]) -> dict[str, str]:
    """Those that hold: the engine takes out of its answer what the kernel does not enforce. Zero: there is none."""
    return {
        "cpus": f"{(host.get('NanoCpus') or 0) / 1e9:g}",
        "memory": str(host.get("Memory") or 0),
        "pids": str(max(host.get("PidsLimit") or 0, 0)),
        "shm": str(host.get("ShmSize") or 0),
    }


def _time(text: str) -> datetime | None:
    """Go writes the year 1 for never."""
    return None if text.startswith("0001-") else datetime.fromisoformat(text)
