"""This machine: its boot, processors, memory, disks, network, GPUs and clock."""

from reconciler.adapters.host.linux import LinuxHost, SystemClock

__all__ = ["LinuxHost", "SystemClock"]
