"""The branch ``observed``: the status as files that people read, and back again.

Files change on transitions only: nothing that ages or grows (progress, silence) is written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from reconciler.codec.emit import dump_yaml
from reconciler.codec.overview import overview
from reconciler.codec.status import dump_part, load_status
from reconciler.core.names import run_directory
from reconciler.core.status import NodeStatus, ProjectPhase, ProjectStatus, RunStatus, Status
from reconciler.errors import RecordUnreadable

SUBJECT = 72
Part = Status | ProjectStatus | RunStatus | NodeStatus
NOT_WRITTEN: Mapping[type[Part], set[str]] = {
    ProjectStatus: {"runs", "nodes"},
    RunStatus: {"progress", "now"},
    NodeStatus: {"live", "silent_for", "running", "cpus_used", "memory_used"},
}
"""What has files of its own, ages or grows."""


class Folding:
    """``fold`` again and again: what has not changed since the last time is not written anew."""

    def __init__(self) -> None:
        self._written: dict[str, tuple[Part, str]] = {}

    def __call__(self, status: Status) -> dict[str, str]:
        """Path -> text of every file of the branch."""
        before, self._written = self._written, {}
        for path, part in _parts(status):
            known = before.get(path)
            self._written[path] = known if known is not None and known[0] == part else (part, dump_yaml(_told(part)))
        return {"README.md": overview(status), **{path: text for path, (_, text) in self._written.items()}}


def fold(status: Status) -> dict[str, str]:
    """Path -> text of every file of the branch."""
    return Folding()(status)


def _parts(status: Status) -> Iterator[tuple[str, Part]]:
    """What each file tells of; a part without what is not written."""
    yield "status.yaml", replace(status, projects=(), nodes=())
    for project in status.projects:
        folder = f"projects/{project.project}"
        yield f"{folder}/status.yaml", replace(project, runs=(), nodes={})
        for run in project.runs:
            yield f"{folder}/runs/{run_directory(run.run, run.stage)}.yaml", replace(run, progress=None, now=None)
    for node in status.nodes:
        yield f"nodes/{node.node}.yaml", _lasting(node)


def _lasting(node: NodeStatus) -> NodeStatus:
    """What the node is, without what comes and goes with every run."""
    devices = tuple(replace(device, holder="", busy="") for device in node.devices)
    return replace(node, live=None, silent_for=None, running=(), cpus_used=0.0, memory_used=0, devices=devices)


def _told(part: Part) -> dict[str, Any]:
    data = dump_part(part)
    if isinstance(part, Status):
        return {name: data[name] for name in ("version", "commit", "share", "conditions")}
    return _without(data, NOT_WRITTEN[type(part)])


def unfold(files: Mapping[str, str]) -> Status:
    """The status that ``fold`` wrote; what it left out is unknown (None). Raises RecordUnreadable."""
    try:
        return _unfold(files)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RecordUnreadable(f"the branch observed holds files that no node wrote like this: {told}") from error


def _unfold(files: Mapping[str, str]) -> Status:
    loaded = {path: yaml.safe_load(text) for path, text in sorted(files.items()) if path.endswith(".yaml")}
    projects = []
    for path, project in loaded.items():
        if path.startswith("projects/") and path.endswith("/status.yaml"):
            folder = path.removesuffix("status.yaml")
            runs = [{**run, "progress": None} for p, run in loaded.items() if p.startswith(f"{folder}runs/")]
            projects.append({**project, "runs": runs})
    nodes = [
        {**node, "live": None, "silent_for": None, "running": []}
        for path, node in loaded.items()
        if path.startswith("nodes/")
    ]
    return load_status({**loaded["status.yaml"], "projects": projects, "nodes": nodes})


def headline(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The commit message: what happened, one line a change, runs first; the subject is as many as fit."""
    changed = [path for path in {*before, *after} if before.get(path) != after.get(path)]
    lines = [
        line for path in sorted(changed, key=_order) if (line := _happened(path, before.get(path), after.get(path)))
    ]
    if not lines:
        return "Update\n"
    subject = "; ".join(lines)
    if len(subject) <= SUBJECT:
        return subject + "\n"
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return lines[0][: SUBJECT - len(more)] + more + "\n\n" + "\n".join(lines) + "\n"


def _order(path: str) -> tuple[int, str]:
    kinds = ["/runs/" in path, path.startswith("projects/"), path.startswith("nodes/")]
    return (kinds.index(True) if True in kinds else len(kinds), path)


def _happened(path: str, before: str | None, after: str | None) -> str | None:
    parts = path.split("/")
    was, now = _loaded(path, before), _loaded(path, after)
    match parts:
        case ["projects", project, "runs", _] if now:
            if was.get("phase") == now["phase"] and was.get("attempts") == now["attempts"]:
                return None
            again = f", attempt {now['attempts']}" if now["attempts"] > 1 else ""
            return f"{project}: run {now['run']} {now['stage']} {now['phase']} on {now['node']}{again}"
        case ["projects", project, "status.yaml"]:
            return _project_happened(project, was, now)
        case ["nodes", node]:
            name = node.removesuffix(".yaml")
            return f"{name}: joined" if not was else f"{name}: left" if not now else f"{name}: changed"
        case ["status.yaml"] if now and was.get("conditions", []) != now["conditions"]:
            return "site: conditions changed" if now["conditions"] else "site: all files are well"
        case _:
            return None


def _loaded(path: str, text: str | None) -> dict[str, Any]:
    """Empty for what isn't ours: somebody may have edited the branch, and the next commit puts that right."""
    try:
        data = yaml.safe_load(text) if text and path.endswith(".yaml") else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _project_happened(project: str, was: dict[str, Any], now: dict[str, Any]) -> str | None:
    if not now:
        return f"{project}: gone"
    reason, before = _reason(now), _reason(was)
    if (was.get("phase"), before) == (now["phase"], reason) or now["phase"] == ProjectPhase.RUNNING:
        return None  # of a running project its run's own line tells
    return f"{project}: {now['phase']}" + (f" ({reason})" if reason else "")


def _reason(project: dict[str, Any]) -> Any:
    waiting_for = project.get("waiting_for")
    return waiting_for.get("reason") if isinstance(waiting_for, dict) else None


def _without(data: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}
