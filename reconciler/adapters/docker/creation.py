"""An order as the engine's request to create a container: hardened, named and labelled."""

import os
from typing import Any

import docker
from docker.types import LogConfig, Mount

from reconciler.adapters.docker.devices import devices
from reconciler.config import DockerConfig
from reconciler.core.containers import Order
from reconciler.core.labels import BOOT, IMAGE, device_labels, labels_of
from reconciler.core.stage_environment import IN_CONTAINER, on_node, stage_environment
from reconciler.errors import ShareUnavailable

PIDS = 8192
"""Threads count too, and numeric libraries start one a core in each of their processes."""

KEEP_ALL = {"max-file": "1", "max-size": "1p", "compress": "false", "mode": "blocking"}
"""The engine keeps all output until the container is removed. What we don't say it would take from its own defaults:
a size at which older lines go, or a mode that drops lines from a busy program."""


def creation(api: docker.APIClient, order: Order, config: DockerConfig, *, image: str, boot: str) -> dict[str, Any]:
    """Arguments of ``APIClient.create_container``."""
    given = devices(order, api.info)
    seen = {"HOME": "/tmp", **stage_environment(order, IN_CONTAINER), **given.environment}  # noqa: S108 - in there
    holds = device_labels((gpu.uuid for gpu in order.gpus), shared=order.shares_gpus)
    return {
        "image": image,
        "command": list(order.command) or None,
        "name": order.key.slug,
        "environment": seen,
        "labels": {**labels_of(order.key, order.node), **holds, BOOT: boot, IMAGE: image},
        "user": config.user or _owner(order.paths.workspace),
        "working_dir": IN_CONTAINER.workspace,
        "host_config": api.create_host_config(**_host(order, config), **given.host),
    }


def _host(order: Order, config: DockerConfig) -> dict[str, Any]:
    host: dict[str, Any] = {
        "mounts": _mounts(order),
        "network_mode": order.network.value,
        "restart_policy": {"Name": "no"},  # whether to try again is the ledger's decision
        "auto_remove": False,  # an end that nobody saw must still be found
        "init": True,
        "security_opt": ["no-new-privileges"],
        "cap_drop": ["ALL"],
        "pids_limit": PIDS,
        "nano_cpus": round(order.cpus * 1e9),
        "shm_size": order.shm_size or config.shm_size,
        "log_config": LogConfig(type=LogConfig.types.JSON, config=KEEP_ALL),
    }
    if order.memory:
        host |= {"mem_limit": order.memory, "memswap_limit": order.memory}
    return host


def _mounts(order: Order) -> list[Mount]:
    """Binds that must exist: the engine would otherwise create them, as root, beside an unmounted share."""
    here, there = on_node(order), IN_CONTAINER
    return [
        Mount(type="bind", source=here.workspace, target=there.workspace),
        Mount(type="bind", source=here.output, target=there.output),
        Mount(type="bind", source=here.input, target=there.input, read_only=True),
        Mount(type="bind", source=here.resources, target=there.resources, read_only=True),
    ]


def _owner(directory: str) -> str:
    """Files that a stage writes belong to whom its workspace belongs to."""
    try:
        found = os.stat(directory)  # noqa: PTH116
    except OSError as error:
        raise ShareUnavailable(f"the workspace {directory} can't be reached: {error.strerror}") from error
    return f"{found.st_uid}:{found.st_gid}"
