"""``winslow notify``: try an entry of ``notifications`` without waiting for a failure."""

import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from reconciler.cli.options import ConfigOption, live_reader, node_config
from reconciler.cli.output import out, text
from reconciler.core.desired import Desired, Notification
from reconciler.core.names import ProjectName
from reconciler.core.status import ProjectPhase
from reconciler.core.transitions import Transition
from reconciler.errors import BadInput, Transient

TEST = "Test"


def notify(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The entry's name in winslow.yaml.")],
    config: ConfigOption = None,
) -> None:
    """Send a test event of one entry of notifications.

    From this machine and now, with its secrets and commands; nothing is remembered of it.
    """
    from reconciler.compose import sink_opener  # noqa: PLC0415

    desired = live_reader(config).snapshot().desired
    entry = _find(desired, name)
    try:
        remark = sink_opener(node_config(config))(entry).deliver(_test_event(desired))
    except BadInput as error:
        raise BadInput(f"notification '{name}' was refused: {error}") from error
    except Transient as error:
        raise Transient(f"notification '{name}' could not be delivered: {error}") from error
    out().print(text(f"notification '{name}' was delivered" + (f": {remark}" if remark else "")))


def _find(desired: Desired, name: str) -> Notification:
    found = {entry.name: entry for entry in desired.site.notifications}
    if name not in found:
        known = ", ".join(found) or "none"
        raise BadInput(f"winslow.yaml has no notification '{name}' (it has: {known}); is the commit pushed to main?")
    return found[name]


def _test_event(desired: Desired) -> Transition:
    forge = desired.site.forge
    return Transition(
        id=f"test{secrets.token_hex(14)}",
        project=ProjectName("test"),
        name="A test",
        phase=ProjectPhase.SUCCEEDED,
        reason=TEST,
        message="somebody tries this notification with `winslow notify`; nothing has happened",
        at=datetime.now(UTC),
        repository=forge.url if forge else None,
        is_test=True,
    )
