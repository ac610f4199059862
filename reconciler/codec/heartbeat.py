"""What a heartbeat says beside that its node lives: what keeps the node, or a project on it, from working.

For people alone. Observers only ask whether the bytes changed, and no rule reads this.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.core.names import ProjectName
from reconciler.core.status import Condition

MOST, WIDTH = 5, 240
"""So many of each, so many characters of each: a heartbeat has a fixed size."""


def troubles(conditions: Iterable[Condition], faults: Mapping[ProjectName, str]) -> dict[str, object]:
    """The facts to beat with."""
    told = {one.type: one.message[:WIDTH] for one in list(conditions)[:MOST]}
    return {"conditions": told, "faults": {name: why[:WIDTH] for name, why in list(faults.items())[:MOST]}}


def heard(content: bytes | None) -> tuple[Mapping[str, str], Mapping[ProjectName, str]]:
    """The node's conditions (type -> message) and its projects' faults; nothing of what can't be read."""
    try:
        facts = json.loads(content or b"{}")
    except ValueError:
        return {}, {}
    return _texts(facts, "conditions"), {ProjectName(name): why for name, why in _texts(facts, "faults").items()}


def _texts(facts: Any, name: str) -> Mapping[str, str]:
    found = facts.get(name) if isinstance(facts, dict) else None
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
