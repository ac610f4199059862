"""This machine as the node's inventory describes it."""

import os
from types import SimpleNamespace

import pynvml
import pytest

from reconciler.adapters.host import LinuxHost, SystemClock


def test_a_boot_id_stays_the_same_and_cpus_and_memory_are_those_we_may_use() -> None:
    host = LinuxHost()
    assert len(host.boot()) == 36
    assert host.boot() == LinuxHost().boot()
    assert 1 <= host.cpus() <= (os.cpu_count() or 1)
    assert host.memory() > 2**26


def test_a_process_bound_to_one_cpu_offers_one() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert LinuxHost().cpus() == 1.0
    finally:
        os.sched_setaffinity(0, before)


def test_a_machine_without_a_driver_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert LinuxHost().gpus() == ()


def test_gpus_are_listed_and_the_driver_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[str] = []
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: held.append("driver"))
    monkeypatch.setattr(pynvml, "nvmlShutdown", held.clear)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda device: f"GPU-{device}".encode())
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda device: "RTX 4090")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda device: SimpleNamespace(total=24 * 2**30))
    first, second = LinuxHost().gpus()
    assert (first.uuid, first.model, first.memory) == ("GPU-0", "RTX 4090", 24 * 2**30)
    assert second.uuid == "GPU-1"
    assert held == []


def test_the_clock_is_in_utc_and_never_goes_back() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() is not None
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)
