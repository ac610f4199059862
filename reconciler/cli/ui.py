"""``winslow ui``: the page that only reads."""

from typing import Annotated

import typer

from reconciler.cli.options import CloneOption, ConfigOption, reader
from reconciler.cli.output import err


def ui(
    config: ConfigOption = None,
    clone: CloneOption = None,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is all of them.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.")] = 8080,
) -> None:
    """Serve the status page, which only reads."""
    from readonly_ui import serve  # noqa: PLC0415
    from readonly_ui.app import create_app  # noqa: PLC0415

    page = create_app(reader(config, clone, purpose="ui"))
    serve.run(page, host, port, ready=lambda url: err().print(f"winslow: the page is on {url} (Ctrl-C ends it)"))
