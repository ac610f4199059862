"""What this machine and the programs on it use now, as the kernel counts it. GPUs are elsewhere: ``adapters.gpus``."""

from reconciler.adapters.sampling.machine import MachineLoad
from reconciler.adapters.sampling.usage import RunUse

__all__ = ["MachineLoad", "RunUse"]
