"""``winslow node``: by itself this machine's reconciler; with a further word what people ask of any node, in git."""

from typing import Annotated

import typer

from reconciler.cli import node
from reconciler.cli.codes import EPILOG
from reconciler.cli.edits import NODE_EDITS
from reconciler.cli.options import ConfigOption

node_app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@node_app.callback(invoke_without_command=True, epilog=EPILOG)
def run(
    context: typer.Context,
    config: ConfigOption = None,
    hand_over: Annotated[
        bool,
        typer.Option("--hand-over", help="At the end stop this node's stages and release them to other nodes."),
    ] = False,
) -> None:
    """Run this machine's reconciler.

    Ends on Ctrl-C or SIGTERM. Its stages go on, and its next start adopts them. With drain or undrain it only edits
    what git says of a node.
    """
    if context.invoked_subcommand is None:
        node.node(config, hand_over=hand_over)
    elif hand_over:
        name = context.invoked_subcommand
        raise typer.BadParameter(f"write it behind the command: winslow node {name} NODE --hand-over")


for _name, _command in NODE_EDITS.items():
    node_app.command(_name, epilog=EPILOG)(_command)
