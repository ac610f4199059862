"""This machine and its node.yaml: the private directory, the name, secrets, the port, the GPUs."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from reconciler.adapters.host import LinuxHost
from reconciler.adapters.share import SharedDirectory
from reconciler.agent.ports import Host
from reconciler.cli.doctor.finding import Examination, Finding, note, ok, problem, warning
from reconciler.cli.doctor.mount import is_local, mount_of
from reconciler.config import NodeConfig, Reserve
from reconciler.core.devices import is_named

AREA = "node"
NVIDIA = "0x10de"
DISPLAY = "0x03"


def examinations(config: NodeConfig) -> list[Examination]:
    return [
        Examination(area=AREA, name="the private directory", look=lambda: private_directory(config.local)),
        Examination(area=AREA, name="secrets", look=lambda: secrets(config)),
        Examination(area="gpu", name="the GPUs", look=gpus),
        Examination(area=AREA, name="the reserve", look=lambda: reserve(config.reserve, LinuxHost())),
        Examination(area="share", name="the node's name", look=lambda: name(config)),
    ]


def private_directory(local: Path) -> Sequence[Finding]:
    """Its lock keeps two reconcilers of one machine apart, which works on local disks alone."""
    existing = next(path for path in (local, *local.absolute().parents) if path.exists())
    found = mount_of(existing.resolve(), Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    if found is not None and not is_local(found):
        told = f"local: {local} lies on {found.kind}, not on this machine's own disk"
        return [problem(AREA, told, "write a directory of a local disk in node.yaml, for this node alone")]
    if found is not None and found.kind == "tmpfs":
        told = f"local: {local} lies in memory: a reboot forgets what ran"
        return [warning(AREA, told, "write a directory of a local disk in node.yaml")]
    if not os.access(existing, os.W_OK | os.X_OK):
        told = f"this user (uid {os.getuid()}) may not write to {existing}"
        return [problem(AREA, told, f"give the node's user a directory: install -d -o USER {local}")]
    return [ok(AREA, f"{local} is on this machine's own disk")]


def secrets(config: NodeConfig) -> Sequence[Finding]:
    found = []
    for path in filter(None, (config.secrets_dir, config.hook_token_file)):
        if not path.exists():
            found.append(warning(AREA, f"{path} does not exist", "make it, or take its line out of node.yaml"))
        elif stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
            found.append(warning(AREA, f"everybody on this machine may look into {path}", f"chmod o-rwx {path}"))
    return found


def gpus() -> Sequence[Finding]:
    look = LinuxHost().look_at_gpus()
    faults = [look.fault] if look.fault else [*look.nameless]
    faults += [f"{gpu.model} {gpu.uuid}: {gpu.fault}" for gpu in look.gpus if gpu.fault]
    found = [problem("gpu", fault, "until then no stage gets it") for fault in faults]
    if sound := [gpu for gpu in look.gpus if not gpu.fault]:
        told = ", ".join(f"{gpu.model} ({gpu.memory / 2**30:.0f} GiB, {gpu.uuid})" for gpu in sound)
        found.append(ok("gpu", f"the driver lists {told}"))
    if found:
        return found
    if any(_is_nvidia(device) for device in Path("/sys/bus/pci/devices").glob("*")):
        told = "an NVIDIA card is plugged in, and its driver lists none: GPU stages will not come here"
        return [problem("gpu", told, "look at nvidia-smi and dmesg; after an upgrade of the driver reboot")]
    return [note("gpu", "no GPUs: stages that require one will not come here")]


def reserve(kept: Reserve, host: Host) -> Sequence[Finding]:
    """What node.yaml keeps from stages must leave them something, and name what is there."""
    found = []
    has = {"cpus": f"{host.cpus():g}", "memory": f"{host.memory() / 2**30:.0f}GiB"}
    too_much = {"cpus": kept.cpus >= host.cpus(), "memory": kept.memory >= host.memory()}
    for name in (name for name, is_so in too_much.items() if is_so):
        told = f"reserve.{name} in node.yaml leaves nothing of this machine: no stage will ever come here"
        found.append(problem(AREA, told, f"write less than {has[name]}"))
    gpus = host.look_at_gpus().gpus if kept.gpus else ()
    for name in kept.gpus:
        if not any(is_named(gpu, [name]) for gpu in gpus):
            known = ", ".join(gpu.uuid for gpu in gpus) or "none"
            told = f"reserve.gpus in node.yaml names {name}, and no GPU here begins with that"
            found.append(problem(AREA, told, f"there are: {known}"))
    return found


def _is_nvidia(device: Path) -> bool:
    try:
        kind = (device / "class").read_text(encoding="ascii")
        return kind.startswith(DISPLAY) and (device / "vendor").read_text(encoding="ascii").strip() == NVIDIA
    except OSError:
        return False


def name(config: NodeConfig) -> Sequence[Finding]:
    """A name belongs to one machine; whether the other one lives shows when the node starts."""
    files = SharedDirectory(config.share).read_nodes().get(config.name)
    if files is None:
        return [ok(AREA, f"no node called {config.name} has been on this share: the name is free")]
    last, home = files.records[-1], config.local / "home"
    is_ours = last.boot == LinuxHost().boot() or (home.exists() and home.read_text(encoding="utf-8") == last.home)
    if not is_ours:
        told = f"another installation joined this share as {config.name} on {last.at:%d %b %Y %H:%M} UTC"
        return [warning(AREA, told, "if that machine is still in use, write another name in this node.yaml")]
    times = "once" if len(files.starts) == 1 else f"{len(files.starts)} times"
    return [ok(AREA, f"{config.name} is this installation's own name; it has started {times}")]
