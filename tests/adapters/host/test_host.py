"""This machine as the node's inventory describes it."""

import os
import platform
import socket
from pathlib import Path
from typing import NoReturn

import psutil
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


def test_what_can_not_be_read_of_a_machine_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may hide any file of /proc and /sys; the node starts all the same."""

    def hidden(*_: object, **__: object) -> NoReturn:
        raise FileNotFoundError(2, "No such file or directory", "/proc/meminfo")

    for name in ("virtual_memory", "swap_memory", "disk_partitions", "net_if_stats", "cpu_count", "cpu_percent"):
        monkeypatch.setattr(psutil, name, hidden)
    host = LinuxHost()
    assert host.memory() > 2**26
    assert host.load() == 0.0
    found = host.inventory([Path("/")])
    assert (found.disks, found.network, found.swap) == ((), (), 0)
    assert found.kernel == platform.release()


def test_a_machine_is_described_with_the_file_systems_that_matter(tmp_path: Path) -> None:
    found = LinuxHost().inventory([tmp_path, tmp_path / "below"])
    assert found.hostname == socket.gethostname()
    assert found.cores >= 1
    assert found.memory > 2**26
    mine = [disk for disk in found.disks if tmp_path.is_relative_to(disk.path)]
    assert mine, found.disks
    assert all(disk.size > 0 for disk in mine)
    assert len({disk.path for disk in found.disks}) == len(found.disks)


def test_the_load_is_told_in_tenths() -> None:
    """It goes into every heartbeat; more would only be noise."""
    load = LinuxHost().load()
    assert 0.0 <= load <= 1.0
    assert round(load, 1) == load


def test_free_room_is_known_of_directories_that_are_here(tmp_path: Path) -> None:
    """An engine on another machine names one that is not."""
    assert LinuxHost().free_disk(tmp_path) > 0
    assert LinuxHost().free_disk(tmp_path / "elsewhere") == 0


def test_the_clock_is_in_utc_and_never_goes_back() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() is not None
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)
