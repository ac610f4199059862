"""Commands that change what is desired: each makes one commit on main, or offers it as a merge request.

A command decides on a commit's files (``state``) and says what the file shall be (``Edit``); how that
becomes a commit is one flow for all of them (``carry_out``), in any clone (``clone``) and without its work tree.
"""

from collections.abc import Callable

from reconciler.cli.edits import fields, files, nodes, requests
from reconciler.cli.edits.command import edit_command
from reconciler.cli.edits.state import Edit

_DECISIONS: dict[str, Callable[..., Edit]] = {
    "new": files.new,
    "resume": requests.resume,
    "redo": requests.redo,
    "goto": requests.goto,
    "pause": requests.pause,
    "abort": requests.abort,
    "set": fields.set_,
    "unset": fields.unset,
    "tag": fields.tag,
    "rename": fields.rename,
    "pipeline": fields.pipeline,
    "delete": files.delete,
    "restore": files.restore,
}
EDITS = {name: edit_command(decide) for name, decide in _DECISIONS.items()}
NODE_EDITS = {"drain": edit_command(nodes.drain), "undrain": edit_command(nodes.undrain)}
"""Below ``winslow node``."""
