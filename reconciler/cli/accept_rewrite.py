"""``winslow accept-rewrite``: a person says once, for the whole site, that main's new history is meant."""

import os
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.agent.tokens import new_token
from reconciler.cli.codes import Exit
from reconciler.cli.options import ConfigOption, node_config
from reconciler.cli.output import out
from reconciler.config import NodeConfig
from reconciler.core.names import Commit, RecordNumber
from reconciler.core.records import RewriteAccepted
from reconciler.errors import BadInput, Transient

if TYPE_CHECKING:
    from reconciler.adapters.share import SharedDirectory
    from reconciler.readers.rewritten import Rewrite

SHORT = 12
COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")


def accept_rewrite(
    commit: Annotated[
        str | None,
        typer.Argument(metavar="COMMIT", help="The new head, at least 7 digits of it; needed without a terminal."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Accept that main's history was rewritten.

    Shows what would change, and asks before it writes one record to the share.
    """
    from reconciler.adapters.share import SharedDirectory  # noqa: PLC0415
    from reconciler.cli.rewrite_shown import picture  # noqa: PLC0415
    from reconciler.compose import open_repository  # noqa: PLC0415
    from reconciler.readers.rewritten import look_for_rewrite  # noqa: PLC0415

    if commit is not None and not COMMIT.fullmatch(commit):
        raise BadInput(f"'{commit}' is no commit; write at least 7 digits of main's new head, 0-9 and a-f")
    site = node_config(config)
    share = SharedDirectory(site.share, writer=f"accept-rewrite.{os.getpid()}")
    repository = open_repository(site, purpose="cli")
    found = look_for_rewrite(repository, share)
    if not found.is_open:
        why = "accepted already, and every node goes on from it" if found.held else "its history holds all work"
        out().print(f"nothing to accept: {site.branch} is at {found.head[:SHORT]}: {why}")
        return
    if commit is not None and not found.head.startswith(commit.lower()):
        raise BadInput(
            f"'{commit}' is not the head of {site.branch}: that is {found.head[:SHORT]} by now; look at it anew"
        )
    for line in picture(repository, site.branch, found):
        out().print(line)
    _confirm(found.head, named=commit is not None)
    _publish(share, site, found)


def _confirm(head: Commit, *, named: bool) -> None:
    """Whoever can be asked is asked; a script must have named what it saw."""
    if sys.stdin.isatty():
        if not typer.confirm(f"\ngo on from {head[:SHORT]}?"):
            out().print("nothing was accepted; nodes go on from the old commit")
            raise typer.Exit(Exit.FAILED)
    elif not named:
        raise BadInput(f"nothing was accepted; to do so without a terminal: winslow accept-rewrite {head[:SHORT]}")


def _publish(share: "SharedDirectory", site: NodeConfig, found: "Rewrite") -> None:
    record = RewriteAccepted(
        number=RecordNumber(len(found.ledger.site) + 1),
        token=new_token(),
        share=found.ledger.share,
        node=site.name,
        at=datetime.now(UTC),
        head=found.head,
        superseded=found.superseded,
    )
    if not share.publish_site(record):
        raise Transient("somebody else accepted a rewritten history at this moment; look again: winslow accept-rewrite")
    out().print(
        f"\naccepted: every node goes on from {found.head[:SHORT]} when it next looks at git (usually within "
        f"{site.poll.total_seconds():g} s);\na later rewrite has to be accepted again"
    )
