"""What a heartbeat says beside that its node lives: which commit it works from, and what keeps it from working.

For people alone, but for how often it beats. Observers only ask whether the bytes changed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.core.names import Commit, ProjectName, Token
from reconciler.core.nodes import Availability, Remark
from reconciler.core.status import Condition

MOST, WIDTH = 5, 300
"""So many of each, so many characters of each: a heartbeat has a fixed size."""
WHO, MOST_IMAGES, AN_IMAGE = 40, 48, 12
WORDS, ROOM = 1600, 3100
"""What others rank this node by comes before what people read, and leaves room for it. Devices in use come first of
all: in ``WORDS`` bytes with who uses them at length, else with a letter each, as many as ``ROOM`` holds."""
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


EVERY = re.compile(rb'"every": ([0-9]{1,9}(?:\.[0-9]{1,9})?)[,}]')


def beats_every(content: bytes | None) -> float:
    """Seconds between its beats; 0.0 if it does not say so. Read even out of a damaged heartbeat."""
    found = EVERY.search(content or b"")
    return float(found[1]) if found else 0.0


@dataclass(frozen=True, slots=True)
class WorksFrom:
    """The commit that a node goes by, and the last accepted rewrite that it went along with."""

    commit: Commit
    followed: Token | None

    def facts(self) -> dict[str, object]:
        """To beat with."""
        return {"commit": self.commit, "followed": self.followed}


def works_from(content: bytes | None) -> WorksFrom | None:
    """None: it has none yet, or says nothing that can be read."""
    facts = _facts(content)
    commit, followed = facts.get("commit"), facts.get("followed")
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        return None
    return WorksFrom(Commit(commit), Token(followed) if isinstance(followed, str) else None)


def troubles(conditions: Iterable[Condition], faults: Mapping[ProjectName, str]) -> dict[str, object]:
    """The facts to beat with."""
    told = {one.type: _cut(one.message) for one in list(conditions)[:MOST]}
    return {"conditions": told, "faults": {name: _cut(why) for name, why in list(faults.items())[:MOST]}}


def heard(content: bytes | None) -> tuple[Mapping[str, str], Mapping[ProjectName, str]]:
    """The node's conditions (type -> message) and its projects' faults; nothing of what can't be read."""
    facts = _facts(content)
    return _texts(facts, "conditions"), {ProjectName(name): why for name, why in _texts(facts, "faults").items()}


def remarks(remarks: Mapping[ProjectName, Remark]) -> dict[str, object]:
    """The facts to beat with."""
    told = list(remarks.items())[:MOST]
    now = {name: one.now[:WIDTH] for name, one in told if one.now}
    return {"runs": {name: [one.reason, _cut(one.message)] for name, one in told}, **({"now": now} if now else {})}


def heard_remarks(content: bytes | None) -> Mapping[ProjectName, Remark]:
    """What the node says of the runs that it has claimed; nothing of what can't be read."""
    facts = _facts(content)
    found, now = facts.get("runs"), _texts(facts, "now")
    told = found.items() if isinstance(found, dict) else ()
    pairs = {name: said for name, said in told if isinstance(said, list) and len(said) == 2}
    return {
        ProjectName(name): Remark(str(reason), str(message), now.get(name, ""))
        for name, (reason, message) in pairs.items()
    }


def availability(found: Availability) -> dict[str, object]:
    """The facts to beat with; nothing of what is as usual."""
    busy = _in_use(found.busy)
    told: dict[str, object] = {
        "load": found.load,
        "busy": busy,
        "images": sorted(found.images)[: min(MOST_IMAGES, (ROOM - _size(busy)) // AN_IMAGE)],
        "reserved": found.reserved[:WIDTH],
    }
    return {name: value for name, value in told.items() if value}


def _in_use(busy: Mapping[str, str]) -> dict[str, str]:
    """Words are cut before devices are."""
    for width in (WHO, WHO // 2, WHO // 4, 1):
        told = {gpu: who[:width] for gpu, who in sorted(busy.items())}
        if _size(told) <= WORDS:
            break
    while _size(told) > ROOM:
        told.popitem()
    return told


def _size(told: Mapping[str, str]) -> int:
    return len(json.dumps(told, ensure_ascii=False).encode(errors="replace"))


def heard_availability(content: bytes | None) -> Availability:
    """As far as it can be read; of what is not said, as if all were free."""
    facts = _facts(content)
    load, images, reserved = facts.get("load"), facts.get("images"), facts.get("reserved")
    return Availability(
        busy=_texts(facts, "busy"),
        images=frozenset(map(str, images)) if isinstance(images, list) else frozenset(),
        load=float(load) if isinstance(load, int | float) and 0 <= load <= 1 else 0.0,
        reserved=reserved if isinstance(reserved, str) else "",
    )


def _cut(text: str) -> str:
    """Not in the middle of a word that would then mislead."""
    return text if len(text) <= WIDTH else text[: WIDTH - 2].rsplit(" ", 1)[0] + " …"


def _facts(content: bytes | None) -> Mapping[str, Any]:
    try:
        facts = json.loads(content or b"{}")
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _texts(facts: Mapping[str, Any], name: str) -> Mapping[str, str]:
    found = facts.get(name)
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
