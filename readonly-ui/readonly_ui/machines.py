"""A node as a person looks at it: what its GPUs do, what is reserved, and what kind of machine it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from readonly_ui.resources import memory_of
from readonly_ui.words import RANK, link, size
from reconciler.core.names import NodeName
from reconciler.core.nodes import Inventory
from reconciler.core.status import DeviceStatus, NodeStatus


@dataclass(frozen=True, slots=True)
class Device:
    """``tone`` and ``word`` say the same; ``about`` whose words they are, if somebody's."""

    index: int
    facts: DeviceStatus
    tone: str
    word: str
    about: str = ""
    holders: Sequence[str] = ()


def devices(node: NodeStatus) -> Sequence[Device]:
    return [_device(index, device, known=node.live is True) for index, device in enumerate(node.devices)]


def _device(index: int, device: DeviceStatus, *, known: bool) -> Device:
    """What hurts first: a fault, then a stranger on it, then its run."""
    holders = [name for name in device.holder.split(", ") if name]
    if device.fault:
        return Device(index, device, "failed", "Faulty", device.fault, holders)
    if device.busy and not holders:
        return Device(index, device, "waiting", "Used outside Winslow", device.busy)
    if holders:
        return Device(index, device, "running", "Shared" if len(holders) > 1 else "In use", device.busy, holders)
    return Device(index, device, "done", "Free") if known else Device(index, device, "idle", "Not known")


def gpus_in_words(node: NodeStatus) -> str:
    """``3 of 4 GPUs free, 1 faulty``; empty for a node without."""
    found = devices(node)
    count = len(found) or len(node.gpus)
    if not found or node.live is not True:
        return f"{count} GPU{'s' if count != 1 else ''}" if count else ""
    free = sum(device.word == "Free" for device in found)
    faulty = sum(device.word == "Faulty" for device in found)
    return f"{free} of {count} GPU{'s' if count != 1 else ''} free" + (f", {faulty} faulty" if faulty else "")


def held_by(node: NodeStatus, run: str) -> Sequence[DeviceStatus]:
    """The devices that ``run`` ("project/0004-detect") has now."""
    return [device for device in node.devices if run in device.holder.split(", ")]


def reserved(node: NodeStatus) -> Sequence[tuple[str, str]]:
    """What the node offers, and how much of it open claims keep for themselves."""
    cpus = f"{node.cpus_used:g} of {node.cpus:g} reserved" if node.cpus_used else f"{node.cpus:g}"
    memory = f"{memory_of(node.memory_used, node.memory)} reserved" if node.memory_used else size(node.memory)
    return ("CPUs", cpus), ("Memory", memory)


def run_link(name: str) -> str:
    """Of a run as nodes name it: ``project/0004-detect``."""
    project, _, run = name.partition("/")
    number = run.split("-", 1)[0]
    return link("projects", project, "runs", int(number)) if number.isdecimal() else link("projects", project)


def inventory(node: NodeStatus) -> Sequence[tuple[str, Sequence[str]]]:
    """The machine as it is: (name, lines)."""
    found = [(name, [line for line in lines if line]) for name, lines in _inventory(node, node.inventory)]
    return [(name, lines) for name, lines in found if lines]


def _inventory(node: NodeStatus, machine: Inventory) -> Iterator[tuple[str, Sequence[str]]]:
    cores = f"{machine.cores} cores" if machine.cores else ""
    yield "Processor", [", ".join(filter(None, (machine.processor, cores)))]
    swap = f", swap {size(machine.swap)}" if machine.swap else ""
    yield "Memory", [f"{size(machine.memory)}{swap}" if machine.memory else ""]
    disks = machine.disks
    yield "Disks", [f"{disk.path} {size(disk.size)}{f' ({disk.kind})' if disk.kind else ''}" for disk in disks]
    yield "Network", [f"{one.name}{f' {_speed(one.speed)}' if one.speed else ''}" for one in machine.network]
    yield "Host", [", ".join(filter(None, (machine.hostname, machine.kernel)))]
    yield "Engine", [f"{name} {value}" for name, value in sorted(machine.engine.items())]
    drivers = {(device.vendor, device.driver): None for device in node.devices if device.driver}
    yield "GPU driver", [f"{vendor} {driver}" for vendor, driver in drivers]
    versions = node.versions.items() - machine.engine.items()
    yield "Versions", [f"{name} {value}" for name, value in sorted(versions)]


def _speed(megabits: int) -> str:
    return f"{megabits / 1000:g} Gbit/s" if megabits >= 1000 else f"{megabits} Mbit/s"


def in_order(answers: Mapping[NodeName, str]) -> Sequence[tuple[NodeName, str]]:
    """Each node's answer to a project that waits for one: first those that would take it, by their rank."""

    def order(answer: tuple[NodeName, str]) -> tuple[float, str]:
        name, said = answer
        rank = RANK.match(said)
        return (int(rank[1]) if rank else inf, name)

    return sorted(answers.items(), key=order)
