"""What `docker info` says of an engine, as far as people who look for a node want to know it."""

from collections.abc import Mapping
from typing import Any


def facts(info: Mapping[str, Any]) -> dict[str, str]:
    """Only what it says: older engines leave things out."""
    runtimes = info.get("Runtimes") or {}
    found = {
        "docker": info.get("ServerVersion"),
        "cgroup": info.get("CgroupVersion"),
        "storage": info.get("Driver"),
        "root": info.get("DockerRootDir"),
        "live-restore": _yes_or_no(info.get("LiveRestoreEnabled")),
        "nvidia runtime": _yes_or_no("nvidia" in runtimes),
        "cdi": _yes_or_no(bool(info.get("CDISpecDirs"))),
    }
    return {name: str(value) for name, value in found.items() if value}


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"
