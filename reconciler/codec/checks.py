"""What a schema can't say: faults that need two places to see.

``of_file`` looks at one file and makes it broken; ``of_project`` looks from a project at its pipeline
and only reports, because another file's change must not take a project's file out of use.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.codec import shapes
from reconciler.codec.quantities import duration
from reconciler.codec.validate import Kind
from reconciler.codec.wording import instead, short
from reconciler.codec.yaml import Document, Path
from reconciler.core.desired import Gpus, Pipeline, Project, Requires, Site
from reconciler.core.names import PipelineName, ProjectName
from reconciler.core.problems import Problem, Severity

_ROOTS = ("resources", "input")
_WAYS = ("webhook", "email", "command")
_OF_A_GPU = ("memory", "model", "capability", "share")
_SHARE = "share: true needs the memory that the stage takes of each GPU; write for example memory: 8GiB beside it"
_CUDA = "gpus.capability is CUDA's: no AMD GPU has one; leave it out or write vendor: nvidia"


def of_file(kind: Kind, document: Document, file: str) -> tuple[Problem, ...]:
    """The file's shape is valid already."""
    match kind:
        case Kind.PIPELINE:
            return tuple(_stages(document, file))
        case Kind.PROJECT:
            return tuple(_inputs(document, file))
        case Kind.NODE:
            return tuple(_handing_over(document, file))
        case Kind.SITE:
            return (*_times(document, file), *_notifications(document, file), *_forge(document, file))
        case _:
            return ()


def _at(document: Document, path: Path, file: str, message: str) -> Problem:
    node = document.node(path)
    return Problem(file=file, line=node.line, column=node.column, message=message)


def _stages(document: Document, file: str) -> Iterable[Problem]:
    first: dict[str, int] = {}
    for index, stage in enumerate(document.data["stages"]):
        name = stage["name"]
        if name in first:
            line = document.node(("stages", first[name], "name")).line
            message = f"the stage '{name}' stands here twice, first in line {line}; give one another name"
            yield _at(document, ("stages", index, "name"), file, message)
        first.setdefault(name, index)
        if "image" not in stage and "process" not in stage:
            message = f"stage '{name}' has nothing to run; write its image, or process: {{command: [...]}}"
            yield _at(document, ("stages", index), file, message)
        place = ("stages", index, "requires", "gpus")
        gpus = stage.get("requires", {}).get("gpus", 0)
        if isinstance(gpus, dict) and "count" not in gpus:
            message = "the field 'count' is missing in requires.gpus; write for example count: 1"
            yield _at(document, place, file, message)
        else:
            merged = shapes.requires({"gpus": gpus}, Requires()).gpus
            yield from (_at(document, (*place, *at), file, message) for at, message in _gpu_faults(gpus, merged))


def _gpu_faults(written: Mapping[str, Any] | int, merged: Gpus) -> Iterable[tuple[Path, str]]:
    """What makes no sense in ``written``, given what comes of it together with the pipeline's words."""
    if isinstance(written, int):
        return
    if merged.count == 0 and (asked := [name for name in _OF_A_GPU if written.get(name)]):
        words = ", ".join(f"{name}: {'true' if name == 'share' else short(written[name])}" for name in asked)
        why = "count: 0" if "count" in written else "the pipeline asks for none"
        yield (asked[0],), f"requires.gpus asks for {words} but for 0 GPUs ({why}): write count: 1"
    elif merged.capability and merged.vendor == "amd" and not {"capability", "vendor"}.isdisjoint(written):
        yield ("capability" if "capability" in written else "vendor",), _CUDA
    if written.get("share") and not merged.memory:
        yield ("share",), _SHARE


def _inputs(document: Document, file: str) -> Iterable[Problem]:
    for index, path in enumerate((document.data or {}).get("inputs", [])):
        if fault := input_fault(path):
            yield _at(document, ("inputs", index), file, f"input '{short(path)}' {fault}")


def input_fault(path: str) -> str | None:
    """Why a stage may not read this path; None if it may."""
    parts = path.rstrip("/").split("/")
    if path.startswith("/"):
        return "is absolute; write it relative to the shared directory, such as resources/ulm/flight-07.mp4"
    if ".." in parts:
        return "holds '..'; write the path without it"
    if parts[0] not in _ROOTS or len(parts) < 2:
        return "does not begin with resources/ or input/; these are where stages may read"
    if "" in parts or "." in parts or not path.isprintable():
        return "holds an empty part, '.' or a control character; write the plain path"
    return None


def _times(document: Document, file: str) -> Iterable[Problem]:
    data = document.data
    heartbeat = duration(data["heartbeat"]) if "heartbeat" in data else Site().heartbeat
    ttl = duration(data["ttl"]) if "ttl" in data else Site().ttl
    if ttl < 3 * heartbeat:
        where = "ttl" if "ttl" in data else "heartbeat"
        message = "ttl must be at least three heartbeats, or nodes that live are taken for dead"
        yield _at(
            document, (where,), file, f"{message}; now {ttl.total_seconds():g}s and {heartbeat.total_seconds():g}s"
        )


def _handing_over(document: Document, file: str) -> Iterable[Problem]:
    data = document.data or {}
    if data.get("hand_over") and not data.get("drained"):
        message = "hand_over says how a node is drained; write drained: true as well, or take hand_over out"
        yield _at(document, ("hand_over",), file, message)


def short_lives(document: Document, file: str, site: Site) -> Iterable[Problem]:
    """Stages whose ttl living nodes can't meet: three heartbeats count instead."""
    least = 3 * site.heartbeat
    for index, stage in enumerate(document.data["stages"]):
        if "ttl" in stage and duration(stage["ttl"]) < least:
            message = (
                f"stage '{stage['name']}' has a ttl below three heartbeats of the site; {least.total_seconds():g}s "
                "counts instead, or living nodes would be taken for dead"
            )
            yield replace(_at(document, ("stages", index, "ttl"), file, message), severity=Severity.WARNING)


def idle_limits(document: Document, file: str, projects: Mapping[ProjectName, Project]) -> Iterable[Problem]:
    """Limits that hold nothing back: most often a misspelt name."""
    limits: Mapping[str, Any] = (document.data or {}).get("limits", {}) if projects else {}
    tags = sorted({tag for project in projects.values() for tag in project.tags})
    for kind, known, faulty in (
        ("tags", tags, "no project has the tag"),
        ("projects", sorted(projects), "there is no project"),
    ):
        for name in limits.get(kind, {}):
            if name not in known:
                message = f"this limits nothing: {faulty} '{short(name)}'{instead(name, known)}"
                key = document.key(("limits", kind, name))
                fault = Problem(file=file, line=key.line, column=key.column, message=message)
                yield replace(fault, severity=Severity.WARNING)


def _notifications(document: Document, file: str) -> Iterable[Problem]:
    """Each has a name of its own and exactly one way to tell."""
    seen: set[str] = set()
    for index, entry in enumerate(document.data.get("notifications", [])):
        name, ways = entry["name"], [way for way in _WAYS if way in entry]
        if name in seen:
            message = f"the notification '{name}' stands here twice; give one another name"
            yield _at(document, ("notifications", index, "name"), file, message)
        seen.add(name)
        if len(ways) != 1:
            found = f"names {' and '.join(ways)}" if ways else "does not say how to tell anybody"
            message = f"notification '{name}' {found}; write exactly one of webhook, email, command"
            yield _at(document, ("notifications", index), file, message)
        mail = entry.get("email", {})
        if ("user" in mail) != ("password" in mail):
            message = f"notification '{name}': user and password of an e-mail server go together; write both or neither"
            yield _at(document, ("notifications", index, "email"), file, message)
        if "user" in mail and mail.get("security", "none") == "none":
            message = f"notification '{name}' would send its password in the clear; write security: starttls or tls"
            yield _at(document, ("notifications", index, "email"), file, message)


def _forge(document: Document, file: str) -> Iterable[Problem]:
    forge = document.data.get("forge", {})
    if forge.get("commit_status") and "token" not in forge:
        message = "commit_status needs the forge's token; write for example token: {secret: forge-token}"
        yield _at(document, ("forge", "commit_status"), file, message)


def of_project(document: Document, file: str, pipeline: Pipeline) -> Iterable[Problem]:
    """Does the pipeline have the stages that the project names?"""
    data: Mapping[str, Any] = document.data or {}
    known = [stage.name for stage in pipeline.stages]
    for name in data.get("stages", {}):
        if name not in known:
            key = document.key(("stages", name))
            message = _no_stage(pipeline.id, name, known)
            yield Problem(file=file, line=key.line, column=key.column, message=message)
    for name, stage in shapes.overrides(data, pipeline).items():
        if stage.requires and name in known:
            place, written = ("stages", name, "requires", "gpus"), data["stages"][name]["requires"].get("gpus", 0)
            found = _gpu_faults(written, stage.requires.gpus)
            yield from (_at(document, (*place, *at), file, message) for at, message in found)
    wanted = data.get("next", {}).get("stage")
    if wanted is not None and wanted not in known:
        yield _at(document, ("next", "stage"), file, _no_stage(pipeline.id, wanted, known))
    elif wanted is not None:
        is_skipping = any(stage.skip_unchanged for stage in pipeline.stages[known.index(wanted) :])
        if data["next"].get("unchanged") == "skip" and not is_skipping:
            message = f"neither '{wanted}' nor a later stage says skip_unchanged: true in {pipeline.path}"
            fault = _at(document, ("next", "unchanged"), file, f"next.unchanged: skip has no effect: {message}")
            yield replace(fault, severity=Severity.WARNING)


def unknown_pipeline(document: Document, file: str, name: str, known: Sequence[PipelineName]) -> Problem:
    """``file`` is where the name stands: the project's or its folder's defaults."""
    return _at(document, ("pipeline",), file, f"there is no pipelines/{name}.yaml{instead(name, sorted(known))}")


def _no_stage(pipeline: str, name: str, known: Sequence[str]) -> str:
    return f"the pipeline '{pipeline}' has no stage '{name}'; its stages are {', '.join(known)}"
