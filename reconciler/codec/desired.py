"""A whole state repository at one commit to ``Desired``.

A broken file stops nobody: its last good version goes on, and the problem says where to look. Faults
between files (an unknown pipeline, a stage that the pipeline lacks) are reported and leave the project
in place: what to do about them is the planner's decision.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from reconciler.codec import checks, shapes
from reconciler.codec.files import SITE_PATH, Place, placed
from reconciler.codec.parsed import Cache, parse
from reconciler.codec.tree import StateTree
from reconciler.codec.validate import Kind
from reconciler.codec.versions import Version, Versions
from reconciler.core.desired import Desired, NodePolicy, Pipeline, Project
from reconciler.core.names import Blob, Commit, NodeName, PipelineName, ProjectName
from reconciler.core.problems import Problem, Severity

NO_PIPELINE = PipelineName("")
"""Of a project that names none: no pipeline has this name, so the project shows as Invalid."""


def load(tree: StateTree, cache: Cache | None = None) -> Desired:
    """Read everything at ``tree.commit``. Keep the cache between calls: unchanged files are then not read again."""
    cache = cache or Cache()
    versions = Versions(tree, cache)
    places: Mapping[Kind, list[Place]] = defaultdict(list)
    for place in versions.places():
        places[place.kind].append(place)
    settings = _site(versions)
    site = settings.data if settings else {}
    pipelines = _pipelines(versions, places[Kind.PIPELINE], site)
    projects = _projects(versions, places, pipelines, site)
    nodes = _nodes(versions, places[Kind.NODE])
    if settings and SITE_PATH not in versions.stale:
        versions.problems += checks.idle_limits(settings.document, SITE_PATH, projects)
    cache.forget_unused()
    return Desired(
        commit=tree.commit,
        site=shapes.site(site),
        pipelines=pipelines,
        projects=projects,
        nodes=nodes,
        problems=tuple(sorted(set(versions.problems))),
        stale=versions.stale,
        removed=_removed(tree, projects),
    )


def validate_tree(tree: StateTree) -> tuple[Problem, ...]:
    """All that is wrong in a state repository or a plain directory."""
    return load(tree).problems


def validate_file(path: str, data: bytes) -> tuple[Problem, ...]:
    """What is wrong with one file, given its path in the repository; nothing is known about the others."""
    place = placed(path)
    if isinstance(place, Problem):
        return (place,)
    return parse(place.kind, data, path).problems if place else ()


def _warning(file: str, message: str, line: int = 1, column: int = 1) -> Problem:
    return Problem(file=file, line=line, column=column, message=message, severity=Severity.WARNING)


def _site(versions: Versions) -> Version | None:
    place = Place(Kind.SITE, SITE_PATH, "winslow")
    if versions.exists(SITE_PATH):
        found = versions.current(place)
    else:
        found = versions.last_good(place)
        message = "the file was deleted; its last version goes on in use" if found else "there is no such file"
        versions.problems.append(_warning(SITE_PATH, f"{message}; write one with at least version: 1"))
    return found


def _pipelines(versions: Versions, places: Sequence[Place], site: shapes.Data) -> dict[PipelineName, Pipeline]:
    found = [version for place in places if (version := versions.current(place))]
    for version in found:
        if version.place.path in versions.stale:
            continue
        versions.problems += checks.short_lives(version.document, version.place.path, shapes.site(site))
    return {PipelineName(version.place.stem): _pipeline(version, site) for version in found}


def _pipeline(version: Version, site: shapes.Data) -> Pipeline:
    place = version.place
    return shapes.pipeline(
        version.data,
        id=PipelineName(place.stem),
        path=place.path,
        blob=version.blob,
        site_defaults=site.get("defaults", {}),
    )


def _nodes(versions: Versions, places: Sequence[Place]) -> dict[NodeName, NodePolicy]:
    found = [version for place in places if (version := versions.current(place))]
    return {NodeName(version.place.stem): shapes.node_policy(version.data) for version in found}


# --- projects ------------------------------------------------------------------------------------


def _projects(
    versions: Versions,
    places: Mapping[Kind, Sequence[Place]],
    pipelines: dict[PipelineName, Pipeline],
    site: shapes.Data,
) -> dict[ProjectName, Project]:
    """Adds deleted pipelines that are still in use to ``pipelines``."""
    folders = {
        PurePosixPath(place.path).parent: version
        for place in places[Kind.DEFAULTS]
        if (version := versions.current(place))
    }
    projects: dict[ProjectName, Project] = {}
    for version in _project_versions(versions, places[Kind.PROJECT]):
        inherited = [
            folders[folder] for folder in reversed(PurePosixPath(version.place.path).parents) if folder in folders
        ]
        source = next((each for each in (version, *reversed(inherited)) if "pipeline" in each.data), None)
        pipeline = _pipeline_of(version, source, versions, pipelines, site)
        project = _project(version, inherited, PipelineName(source.data["pipeline"]) if source else NO_PIPELINE)
        if pipeline:
            versions.problems += checks.of_project(version.document, version.place.path, pipeline)
        blobs = [version.blob, *(folder.blob for folder in inherited), *([pipeline.blob] if pipeline else [])]
        projects[project.id] = replace(
            project, stages=shapes.overrides(version.data, pipeline), digest=_digest(blobs, site)
        )
    return projects


def _removed(tree: StateTree, projects: Mapping[ProjectName, Project]) -> dict[ProjectName, Commit]:
    """Of each project that is gone the commit that took its last file away, newest first."""
    found: dict[ProjectName, Commit] = {}
    for commit, path in tree.removals("projects"):
        place = placed(path)
        if isinstance(place, Place) and place.kind is Kind.PROJECT and place.stem not in projects:
            found.setdefault(ProjectName(place.stem), commit)
    return found


def _digest(blobs: Sequence[Blob], site: shapes.Data) -> str:
    """Made of git's own names for contents, so that every version of Winslow finds the same."""
    shared = {name: site.get(name) for name in ("environment", "defaults")}
    return hashlib.sha256(json.dumps([blobs, shared], sort_keys=True).encode()).hexdigest()[:16]


def _project_versions(versions: Versions, places: Sequence[Place]) -> list[Version]:
    """One version for each stem that is in use."""
    stems: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        stems[place.stem].append(place)
    found: list[Version | None] = []
    for stem, same in stems.items():
        if len(same) == 1:
            found.append(versions.current(same[0]) or versions.last_alone(stem))
        else:
            versions.problems += [_doubled(place, same) for place in same]
            found.append(versions.last_alone(stem))
    return [version for version in found if version]


def _doubled(place: Place, same: Sequence[Place]) -> Problem:
    others = ", ".join(other.path for other in same if other != place)
    message = (
        f"the project '{place.stem}' exists twice, also as {others}; rename or remove one (until then nothing changes)"
    )
    return Problem(file=place.path, line=1, column=1, message=message)


def _pipeline_of(
    version: Version,
    source: Version | None,
    versions: Versions,
    pipelines: dict[PipelineName, Pipeline],
    site: shapes.Data,
) -> Pipeline | None:
    """The project's pipeline, also a deleted one's last version; None with a problem if there is none."""
    if source is None:
        message = "this project names no pipeline; write for example pipeline: traffic-flow, here or in _defaults.yaml"
        versions.problems.append(Problem(file=version.place.path, line=1, column=1, message=message))
        return None
    name, file = PipelineName(source.data["pipeline"]), source.place.path
    place = Place(Kind.PIPELINE, f"pipelines/{name}.yaml", name)
    if name not in pipelines and not versions.exists(place.path):
        deleted = versions.last_good(place)
        if deleted is None:
            versions.problems.append(checks.unknown_pipeline(source.document, file, name, list(pipelines)))
            return None
        pipelines[name] = _pipeline(deleted, site)
    if place.path in versions.stale and not versions.exists(place.path):
        at = source.document.node(("pipeline",))
        message = f"{place.path} was deleted; its last version goes on in use: put it back, or name another pipeline"
        versions.problems.append(_warning(file, message, at.line, at.column))
    return pipelines.get(name)


def _project(version: Version, inherited: Sequence[Version], pipeline: PipelineName) -> Project:
    place = version.place
    own = shapes.project(
        version.data, id=ProjectName(place.stem), pipeline=pipeline, path=place.path, blob=version.blob
    )
    levels = [(folder.place.path, shapes.environment(folder.data.get("environment"))) for folder in inherited]
    tags = [tag for folder in inherited for tag in folder.data.get("tags", ())]
    return replace(
        own,
        defaults=tuple((path, environment) for path, environment in levels if environment),
        tags=tuple(dict.fromkeys([*tags, *own.tags])),
    )
