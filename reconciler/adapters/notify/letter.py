"""The text of a mail, for a tired person at eleven at night: what happened, where, what to do, the log's end."""

from collections.abc import Iterator
from datetime import UTC

from reconciler.codec.events import printable
from reconciler.core.status import ProjectPhase
from reconciler.core.transitions import Transition


def body(transition: Transition) -> str:
    is_well = transition.phase is ProjectPhase.SUCCEEDED
    parts = [
        _what(transition),
        _section("To go on:", _go_on(transition)),
        _section("Results:", (f"{name} = {value}" for name, value in transition.results.items())),
        _section("The log's last lines:", () if is_well else transition.tail),
        transition.repository or "",
    ]
    return printable("\n\n".join(part for part in parts if part)) + "\n"


def _what(transition: Transition) -> str:
    title = transition.name if transition.name == transition.project else f"{transition.name} ({transition.project})"
    return "\n\n".join([title, transition.message, "\n".join(_facts(transition))]).strip()


def _facts(transition: Transition) -> Iterator[str]:
    yield f"state   {transition.phase} ({transition.reason})"
    if transition.run is not None:
        where = f" on {transition.node}" if transition.node else ""
        code = f", exit code {transition.exit_code}" if transition.exit_code is not None else ""
        yield f"run     {transition.run} ({transition.stage}){where}{code}"
    if transition.at is not None:
        yield f"when    {transition.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if transition.tags:
        yield f"tags    {', '.join(transition.tags)}"
    if transition.log:
        yield f"log     {transition.log} on the share, or: winslow logs {transition.project} {transition.run}"


def _go_on(transition: Transition) -> Iterator[str]:
    for offer in transition.offers:
        yield f"{offer.title}: merge {offer.url or 'the branch ' + offer.branch}"
    if transition.edit and transition.path:
        yield f"{'or ' if transition.offers else ''}write in {transition.path}:"
        yield f"  {transition.edit}"
    if transition.url:
        yield f"{'here' if transition.edit else 'correct it here'}: {transition.url}"


def _section(title: str, lines: Iterator[str] | tuple[str, ...]) -> str:
    indented = "\n".join(f"  {line}" for line in lines)
    return f"{title}\n{indented}" if indented else ""
