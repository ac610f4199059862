"""Merging environments, weakest level first, remembering where each value came from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.core.desired import Desired, Environment, Next, Pipeline, Project, Secret, Stage


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of a run: its value (or the secret's name) and the level that set it."""

    value: str | Secret
    source: str


def merge(levels: Iterable[tuple[str, Environment]]) -> dict[str, Setting]:
    """Merge (source, environment) pairs, weakest first; ``None`` unsets."""
    merged: dict[str, Setting] = {}
    for source, environment in levels:
        for name, value in environment.items():
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = Setting(value, source)
    return dict(sorted(merged.items()))


def run_environment(
    desired: Desired, pipeline: Pipeline, stage: Stage, project: Project, request: Next | None
) -> Mapping[str, Setting]:
    """The environment of a run of ``stage``: site, pipeline, stage, folders, project, project's stage, next."""
    override = project.stages.get(stage.name)
    return merge(
        [
            ("winslow.yaml", desired.site.environment),
            (pipeline.path, pipeline.environment),
            (f"{pipeline.path} stage {stage.name}", stage.environment),
            *project.defaults,
            (project.path, project.environment),
            (f"{project.path} stage {stage.name}", override.environment if override else {}),
            (f"{project.path} next", request.environment if request else {}),
        ]
    )
