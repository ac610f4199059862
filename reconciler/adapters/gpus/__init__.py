"""This machine's GPUs: NVIDIA's by its driver's library, AMD's by the kernel's own files."""

from reconciler.adapters.gpus.amd import AmdGpus
from reconciler.adapters.gpus.nvidia import NvidiaGpus

__all__ = ["AmdGpus", "NvidiaGpus"]
