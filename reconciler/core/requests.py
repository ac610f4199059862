"""A request (``next``) in canonical form: its identity, and the line a person pastes to write one."""

import json

from reconciler.core.desired import Next, Secret, Then
from reconciler.core.names import RunNumber, StageName


def canonical(request: Next) -> str:
    """The same text for the same request, however its YAML was laid out."""
    environment = {
        name: {"secret": value.secret} if isinstance(value, Secret) else value
        for name, value in request.environment.items()
    }
    fields = {
        "stage": request.stage,
        "after": request.after,
        "from": request.base,
        "then": None if request.then is Then.CONTINUE else request.then.value,
        "environment": environment or None,
        "id": request.id,
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def next_line(stage: StageName, after: RunNumber | None, identity: str | None = None) -> str:
    """The YAML that asks for ``stage`` now, e.g. ``next: {stage: track, after: 3}``."""
    fields = [f"stage: {stage}"]
    fields += [] if after is None else [f"after: {after}"]
    fields += [] if identity is None else [f"id: {identity}"]
    return "next: {" + ", ".join(fields) + "}"
