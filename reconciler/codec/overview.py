"""README.md of the branch ``observed``: what a person sees who opens it in the forge, on a phone."""

import re
from collections import Counter
from collections.abc import Iterator

from reconciler.core.status import NodeStatus, Offer, ProjectPhase, ProjectStatus, Status

ORDER = [
    ProjectPhase.INVALID,
    ProjectPhase.FAILED,
    ProjectPhase.AWAITING_INPUT,
    ProjectPhase.RUNNING,
    ProjectPhase.QUEUED,
    ProjectPhase.PAUSED,
    ProjectPhase.DELETING,
    ProjectPhase.SUCCEEDED,
]


def overview(status: Status) -> str:
    """A table of all projects, those that wait for a person first, with the line to paste and where."""
    lines = ["# What Winslow sees", ""]
    for condition in status.conditions:
        lines.append(f"> **{condition.type}** {_cell(condition.message)}")
    if status.conditions:
        lines.append("")
    lines += ["| project | phase | last run | waits for | to go on |", "| --- | --- | --- | --- | --- |"]
    lines += [_row(project) for project in sorted(status.projects, key=_urgency)]
    lines += ["", "## Nodes", "", "| node | runtime | cpus | memory | GPUs |", "| --- | --- | --- | --- | --- |"]
    for node in status.nodes:
        drained = " (drained)" if node.drained else ""
        gpus = _cell("; ".join(_gpus(node)))
        lines.append(f"| {node.node}{drained} | {node.runtime} | {node.cpus:g} | {_gib(node.memory)} | {gpus} |")
    lines += ["", f"Desired state: commit `{(status.commit or '')[:12]}`. Written by Winslow; edits here are lost.", ""]
    return "\n".join(lines)


def _gpus(node: NodeStatus) -> Iterator[str]:
    """What is there and what is broken; who uses what changes too often to be written."""
    kinds = Counter((one.model or one.vendor, one.memory) for one in node.devices)
    for (model, memory), count in kinds.items():
        yield f"{count} x {model}" + (f", {_gib(memory)}" if memory else "")
    if not kinds:
        yield str(len(node.gpus))
    yield from (f"GPU {index} faulty: {one.fault}" for index, one in enumerate(node.devices) if one.fault)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _urgency(project: ProjectStatus) -> tuple[int, str]:
    return ORDER.index(project.phase), project.project


def _row(project: ProjectStatus) -> str:
    wait = project.waiting_for
    link = f"[{project.project}](projects/{project.project}/status.yaml)"
    last = project.runs[-1] if project.runs else None
    run = f"{last.run} {last.stage} {last.phase}" if last else "none"
    edit = _code(wait.edit) if wait and wait.edit else ""
    if wait and wait.url and wait.edit:
        edit += f" [edit]({wait.url})"
    answers = "".join(f"<br>{_offer(offer)}" for offer in project.offers)
    return f"| {link} | {project.phase} | {run} | {_cell(wait.message) if wait else ''} | {edit}{answers} |"


def _offer(offer: Offer) -> str:
    title = _cell(offer.title)
    return f"[{title}]({offer.url})" if offer.url else f"{title}: merge `{offer.branch}`"


def _cell(text: str) -> str:
    """Text that can't break out of a table's cell nor become a link, whatever somebody wrote."""
    told = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("[", "\\[")
    return told.replace("<", "&lt;").replace("`", "'")


def _code(line: str) -> str:
    """A line to paste, so it stays as it is: within backticks a table still takes each ``|`` for its own."""
    fence = "`" * (1 + max((len(found) for found in re.findall("`+", line)), default=0))
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}".replace("|", "\\|")
