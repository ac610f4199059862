"""A transition as people and programs are told of it: one JSON object, one line, a few lines of text."""

import json
import re
from typing import Any

from reconciler.codec.convert import write_time
from reconciler.core.status import Offer, ProjectPhase
from reconciler.core.transitions import Transition

EVENTS = {
    ProjectPhase.AWAITING_INPUT: "project.awaiting_input",
    ProjectPhase.FAILED: "project.failed",
    ProjectPhase.SUCCEEDED: "project.succeeded",
    ProjectPhase.INVALID: "project.invalid",
}
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def event_data(transition: Transition) -> dict[str, Any]:
    """The event's fields. None of them is called ``type``: Mattermost refuses that word of a stranger."""
    return {
        "id": transition.id,
        "event": "test" if transition.is_test else EVENTS[transition.phase],
        "project": transition.project,
        "name": transition.name,
        "phase": transition.phase.value,
        "reason": transition.reason,
        "message": transition.message,
        "at": None if transition.at is None else write_time(transition.at, "milliseconds"),
        "run": transition.run,
        "stage": transition.stage,
        "node": transition.node,
        "exit_code": transition.exit_code,
        "results": dict(transition.results),
        "log": transition.log,
        "tail": list(transition.tail),
        "tags": list(transition.tags),
        "path": transition.path,
        "edit": transition.edit,
        "edit_url": transition.url,
        "offers": [{"branch": offer.branch, "title": offer.title, "url": offer.url} for offer in transition.offers],
        "repository": transition.repository,
        "text": chat_text(transition),
    }


def dump_event(transition: Transition) -> bytes:
    """As it goes over a wire. A file's name may hold bytes that are no text: many a receiver would choke on them."""
    return json.dumps(event_data(transition), ensure_ascii=False).encode("utf-8", errors="replace")


def headline(transition: Transition) -> str:
    """``ulm: Failed (ExitCode)``: on one line whatever the file may be called."""
    found = f"{transition.project}: {transition.phase} ({transition.reason})"
    return " ".join(printable(found).split())


def chat_text(transition: Transition) -> str:
    """For chats: what happened, and how to go on."""
    lines = [f"{headline(transition)}: {transition.message}", *(offered(offer) for offer in transition.offers)]
    if transition.edit and transition.path:
        lines.append(f"in {transition.path} write: `{transition.edit}`")
    if transition.url:
        lines.append(f"edit: {transition.url}")
    return printable("\n".join(lines))


def offered(offer: Offer) -> str:
    return f"{offer.title}: merge {offer.url or offer.branch}"


def printable(text: str) -> str:
    """Other people's text, safe for terminals, mail and chats: lines and tabs are all that it controls."""
    return _UNPRINTABLE.sub("\ufffd", text)
