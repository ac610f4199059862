"""The container engine: does it answer, can it hold what stages require, and does it keep them when it restarts?"""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.adapters.docker.engine import Engine
from reconciler.adapters.host import LinuxHost
from reconciler.adapters.process import delegation
from reconciler.cli.doctor.finding import Examination, Finding, Level, note, ok, problem, warning
from reconciler.config import NodeConfig
from reconciler.errors import EngineUnavailable

AREA = "engine"
GIB = 2**30
MISSING_LIMITS = {"MemoryLimit": "memory", "SwapLimit": "swap", "CpuCfsQuota": "cpus", "PidsLimit": "processes"}
NVIDIA = ("nvidia", "nvidia-container-runtime")


def examinations(config: NodeConfig) -> list[Examination]:
    if config.runtime == "process":
        return [Examination(area=AREA, name="the runtime", look=plain_processes)]
    return [Examination(area=AREA, name="the container engine", look=lambda: docker(config))]


def plain_processes() -> Sequence[Finding]:
    return [
        note(
            AREA,
            "runtime: process; stages run as this user and see the whole machine",
            "the unit needs KillMode=process, or stopping the node stops its stages",
        ),
        limits(delegation.find(settle=False)),
    ]


def limits(found: delegation.Delegation) -> Finding:
    """As far as one can tell from here: the service has a control group of its own."""
    told = f"limits of stages that are enforced for a node started like this command: {found}"
    if len(found.enforced) == len(delegation.WORDS):
        return ok(AREA, told)
    advice = (
        "deploy/winslow.service has what a service needs for them; see docs/node.md, What the process runtime enforces"
    )
    return note(AREA, told, advice)


def docker(config: NodeConfig) -> Sequence[Finding]:
    engine = Engine(config.docker.host)
    try:
        with engine.asked() as api:
            info: Mapping[str, Any] = api.info()
    except EngineUnavailable as error:
        if config.runtime == "auto":
            return [note(AREA, f"{error}; with runtime: auto stages run as plain processes"), *plain_processes()]
        return [problem(AREA, str(error))]
    finally:
        engine.close()
    return judge(info, has_gpus=any(gpu.vendor == "nvidia" for gpu in LinuxHost().gpus()))


def judge(info: Mapping[str, Any], *, has_gpus: bool) -> list[Finding]:
    """Pure: what `docker info` means for a node."""
    found = [ok(AREA, f"docker {info.get('ServerVersion', '?')} answers, storage {info.get('Driver', '?')}")]
    if not info.get("LiveRestoreEnabled"):
        found.append(
            warning(
                AREA,
                "an upgrade or restart of the engine stops all stages: live-restore is off",
                'write "live-restore": true into /etc/docker/daemon.json and reload it: systemctl reload docker',
            )
        )
    missing = [word for key, word in MISSING_LIMITS.items() if info.get(key) is False]
    if missing:
        found.append(
            Finding(
                area=AREA,
                level=Level.WARNING if missing != ["swap"] else Level.NOTE,
                message=f"the kernel does not enforce limits of {', '.join(missing)}",
                advice="boot it with cgroup_enable=memory swapaccount=1, or accept that a stage may take more",
            )
        )
    if has_gpus and not (any(name in NVIDIA for name in info.get("Runtimes") or {}) or _lists_gpus(info)):
        found.append(
            warning(
                "gpu",
                "this machine has NVIDIA GPUs, and the engine names no runtime for them",
                "install nvidia-container-toolkit, then: nvidia-ctk runtime configure --runtime=docker, and restart it",
            )
        )
    return found


def _lists_gpus(info: Mapping[str, Any]) -> bool:
    """By its own device interface (CDI)."""
    return any(str(one.get("ID")).startswith("nvidia.com/gpu=") for one in info.get("DiscoveredDevices") or ())
