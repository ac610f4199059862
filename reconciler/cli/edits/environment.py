"""``KEY=VALUE`` on the command line, and at which level of a project's file it belongs."""

from collections.abc import Mapping, Sequence

from reconciler.codec.edit import Put
from reconciler.core.desired import Project
from reconciler.core.names import StageName
from reconciler.errors import BadInput


def assignments(words: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise BadInput(f"'{word}' is no variable; write KEY=VALUE, such as THRESHOLD=0.45")
        found[key] = value
    return found


def settings(project: Project, variables: Mapping[str, str], stage: str) -> list[Put]:
    """For all stages, or for ``stage`` where the project sets that variable for it: that is the stronger level."""
    override = project.stages.get(StageName(stage))
    own = override.environment if override else {}
    return [
        Put(("stages", stage, "environment", key) if key in own else ("environment", key), value)
        for key, value in variables.items()
    ]
