"""``winslow``: the commands together, and what becomes of every error."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from reconciler import __version__
from reconciler.cli import (
    accept_rewrite,
    explain,
    hook,
    init,
    logs,
    notify,
    plan,
    rebuild,
    status,
    ui,
    validate,
    wait,
)
from reconciler.cli.codes import EPILOG, Exit, exit_code
from reconciler.cli.demo.command import demo
from reconciler.cli.doctor.command import doctor
from reconciler.cli.edits import EDITS
from reconciler.cli.edits.command import edit_command
from reconciler.cli.node_commands import node_app, run
from reconciler.cli.options import ConfigOption
from reconciler.cli.output import err, text
from reconciler.cli.reproduce import reproduce
from reconciler.errors import WinslowError

DEBUG = "WINSLOW_DEBUG"


class Commands(TyperGroup):
    """Wrong values are told without the checking library's own prefix."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In our own order, the groups among them."""
        return list(COMMANDS)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    name="winslow",
    cls=Commands,
    help="Long pipelines of containerised stages on shared workstations, declared as YAML in git.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "init": init.init,
    "validate": validate.validate,
    "hook": hook.hook,
    "node": run,
    "ui": ui.ui,
    "status": status.status,
    "logs": logs.logs,
    "explain": explain.explain,
    "plan": plan.plan,
    "wait": wait.wait,
    "notify": notify.notify,
    "doctor": doctor,
    "accept-rewrite": accept_rewrite.accept_rewrite,
    "rebuild": rebuild.rebuild,
    **EDITS,
    "reproduce": edit_command(reproduce),
    "demo": demo,
}
for _name, _command in COMMANDS.items():
    if _name == "node":
        app.add_typer(node_app, name=_name)
    else:
        app.command(_name, epilog=EPILOG)(_command)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"winslow {__version__}")
        raise typer.Exit


@app.callback()
def before(
    context: typer.Context,
    config: ConfigOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """``--config`` may stand before the command as well as after it."""
    if config is not None:
        context.default_map = {name: {"config": str(config)} for name in COMMANDS}


def main() -> None:
    """The entry point. No traceback ever reaches a person who did not ask for it."""
    try:
        app(prog_name="winslow")
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has seen enough
        sys.exit(Exit.OK)
    except WinslowError as error:
        if os.environ.get(DEBUG):
            raise
        for line in filter(str.strip, str(error).splitlines() or [type(error).__name__]):
            err().print(text(f"winslow: {line}"))
        sys.exit(exit_code(error))
    except OSError as error:  # a full disk, a missing right: the machine's matter, not a bug
        if os.environ.get(DEBUG):
            raise
        where = f"{error.filename}: " if error.filename else ""
        err().print(text(f"winslow: {where}{error.strerror or error}"))
        sys.exit(Exit.UNAVAILABLE)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        told = f"{type(error).__name__}: {error}"
        err().print(text(f"winslow: this is a bug in Winslow: {told}; run again with {DEBUG}=1 for the details"))
        sys.exit(Exit.FAILED)


if __name__ == "__main__":
    main()
