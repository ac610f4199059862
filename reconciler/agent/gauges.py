"""The last sample as gauges for /metrics. A sample that is old says nothing of now, and is left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan

from reconciler.agent.measuring import Sample
from reconciler.core.usage import gpu_row

STALE = 30.0
"""Seconds."""

OF_NODE = {
    "cpu": ("node_cpu_ratio", "Share of the cpus that is busy"),
    "memory": ("node_memory_used_bytes", "Memory that is not available to programs"),
    "swap": ("node_swap_used_bytes", "Swap in use"),
    "load": ("node_load1", "Load average over one minute"),
    "received": ("node_network_receive_bytes_per_second", "Received by the machine's interfaces"),
    "sent": ("node_network_transmit_bytes_per_second", "Sent by the machine's interfaces"),
    "read": ("node_disk_read_bytes_per_second", "Read from the machine's disks"),
    "written": ("node_disk_written_bytes_per_second", "Written to the machine's disks"),
}
OF_GPU = {
    "gpu_utilisation": ("gpu_utilisation_ratio", "Share of the time in which the GPU worked"),
    "gpu_memory": ("gpu_memory_used_bytes", "Memory of the GPU in use"),
    "gpu_temperature": ("gpu_temperature_celsius", "Temperature of the GPU"),
    "gpu_power": ("gpu_power_watts", "Power that the GPU draws"),
}
OF_RUN = {
    "cpu": ("run_cpu_cores", "Cpus that the run keeps busy"),
    "memory": ("run_memory_bytes", "Memory of the run without page cache"),
    "received": ("run_network_receive_bytes_per_second", "Received by the run's container"),
    "sent": ("run_network_transmit_bytes_per_second", "Sent by the run's container"),
    "read": ("run_read_bytes_per_second", "Read by the run"),
    "written": ("run_written_bytes_per_second", "Written by the run"),
    "gpu_utilisation": ("run_gpu_utilisation_ratio", "Share of the time in which a GPU of the run worked"),
    "gpu_memory": ("run_gpu_memory_used_bytes", "Memory in use on a GPU of the run"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """``name`` as in ``winslow_<name>``."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def gauges(sample: Sample | None, now: float) -> Iterator[Gauge]:
    """``now``: monotonic."""
    if sample is None:
        return
    age = now - sample.at
    yield Gauge(name="sample_age_seconds", help="Seconds since the last measurement", value=age)
    if age > STALE:
        return
    yield from _told(sample.values, OF_NODE, {})
    for gpu in sample.gpus:
        yield from _told(gpu_row(gpu), OF_GPU, {"uuid": gpu.uuid, "model": gpu.model})
    for key, row in sorted(sample.runs.items()):
        yield from _told(row, OF_RUN, {"project": key.project, "run": str(key.run), "stage": key.stage})


def _told(row: Mapping[str, float], names: Mapping[str, tuple[str, str]], labels: Mapping[str, str]) -> Iterator[Gauge]:
    for column, value in row.items():
        name, _, uuid = column.partition(":")
        if name in names and not isnan(value):
            metric, help_ = names[name]
            yield Gauge(name=metric, help=help_, value=value, labels={**labels, **({"uuid": uuid} if uuid else {})})
