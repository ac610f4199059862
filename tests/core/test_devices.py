"""What a node says of its GPUs after each look at its drivers."""

from dataclasses import replace

import pytest

from reconciler.core.devices import DIVIDED_ANEW, GONE, GpuLook, after, is_named, settled, strangers
from reconciler.core.nodes import Disk, Gpu, Inventory, described

A, B, C = (Gpu(uuid=f"GPU-{name}", model="A5000") for name in "abc")
PARTS = tuple(Gpu(uuid=f"MIG-{n}", parent="GPU-a") for n in range(2))


def test_a_device_that_is_gone_stays_listed_in_its_place() -> None:
    assert after((A, B, C), GpuLook(gpus=(C, A))) == (A, replace(B, fault=GONE), C)


def test_a_device_that_its_driver_can_not_name_is_most_likely_the_one_that_is_missing() -> None:
    assert after((A, B), GpuLook(gpus=(A,), nameless=("Unknown Error",))) == (A, replace(B, fault="Unknown Error"))


def test_a_device_that_was_never_named_is_told_all_the_same() -> None:
    """People see that there are two, and that one does not work."""
    unnamed = after((), GpuLook(gpus=(A,), nameless=("lost",)))
    assert [(gpu.uuid, gpu.fault) for gpu in unnamed] == [("GPU-a", ""), ("unnamed-1", "lost")]
    assert after(unnamed, GpuLook(gpus=(A,), nameless=("lost",))) == unnamed
    assert after(unnamed, GpuLook(gpus=(A, B))) == (A, B), "it has a name now"


def test_a_driver_that_fails_as_a_whole_takes_all_its_devices_along() -> None:
    found = after((A, B), GpuLook(fault="reboot"))
    assert found == (replace(A, fault="reboot"), replace(B, fault="reboot"))
    assert after(found, GpuLook(gpus=(A, B))) == (A, B)


def test_instances_take_the_place_of_their_gpu() -> None:
    assert after((A, B), GpuLook(gpus=(*PARTS, B))) == (B, *PARTS)


def test_instances_of_a_lost_gpu_are_lost_with_it_for_its_reason() -> None:
    found = after((*PARTS, B), GpuLook(gpus=(B,), nameless=("lost",)))
    assert found == (*(replace(part, fault="lost") for part in PARTS), B)


@pytest.mark.parametrize("now", [(PARTS[0],), (A,)], ids=["one of them is left", "the gpu is whole again"])
def test_an_instance_that_somebody_took_away_is_not_called_broken(now: tuple[Gpu, ...]) -> None:
    found = {gpu.uuid: gpu.fault for gpu in after(PARTS, GpuLook(gpus=now))}
    assert found["MIG-1"] == DIVIDED_ANEW
    assert found[now[0].uuid] == ""


def test_a_fault_counts_at_once_and_its_end_after_a_while() -> None:
    """A loose card that comes and goes would otherwise cost an attempt each time."""
    broken = replace(A, fault="lost")
    assert settled((A,), (broken,), {}, enough=3) == (broken,)
    assert settled((broken,), (A,), {A.uuid: 2}, enough=3) == (broken,)
    assert settled((broken,), (A,), {A.uuid: 3}, enough=3) == (A,)
    assert settled((broken,), (replace(A, fault="other"),), {}, enough=3) == (replace(A, fault="other"),)


def test_a_device_is_named_by_the_beginning_of_its_uuid_or_its_gpus() -> None:
    assert is_named(A, ["gpu-A"])
    assert is_named(PARTS[0], ["GPU-a"])
    assert not is_named(B, ["GPU-a"])
    assert not is_named(B, [])


def test_a_stranger_is_who_stays_on_a_device_that_no_stage_holds() -> None:
    seen = {"GPU-a": {7: "python"}, "GPU-b": {8: "blender", 9: "ffmpeg"}, "GPU-c": {10: "python"}}
    before = {"GPU-b": {8: "blender", 9: "ffmpeg"}, "GPU-c": {10: "python"}}
    assert strangers(seen, {}, frozenset()) == {}
    assert strangers(seen, before, frozenset({"GPU-c"})) == {"GPU-b": "blender (pid 8) and 1 more"}


def test_a_disk_whose_size_breathes_is_the_same_disk() -> None:
    """Some file systems count what others of their pool have left."""
    before = Inventory(disks=(Disk(path="/", size=1000, kind="zfs"), Disk(path="/data", size=1000)))
    now = Inventory(disks=(Disk(path="/", size=990, kind="zfs"), Disk(path="/data", size=2000)), cores=4)
    assert described(before, now).disks == (before.disks[0], now.disks[1])
    assert described(before, now).cores == 4
