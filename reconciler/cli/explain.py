"""``winslow explain``: why a project is where it is, and of each node why it is not the one."""

from rich.text import Text

from readonly_ui.machines import in_order
from readonly_ui.overview import INFORMATION, source_troubles
from readonly_ui.words import choice
from reconciler.cli.options import ConfigOption, Output, OutputOption, ProjectArgument, live_reader
from reconciler.cli.output import out, phase, print_json, text
from reconciler.cli.status import waiting_lines
from reconciler.codec.status import dump_project
from reconciler.core import report
from reconciler.core.names import ProjectName
from reconciler.readers.find import find_project


def explain(project: ProjectArgument, config: ConfigOption = None, output: OutputOption = Output.TEXT) -> None:
    """Say why a project runs or waits."""
    source = live_reader(config)
    status = source.status()
    found = find_project(status, ProjectName(project))
    seen = source.snapshot()
    desired = seen.desired.projects.get(found.project)
    if desired is None:  # its file is gone from git
        reason, message, nodes = found.conditions[0].reason, found.conditions[0].message, {}
    else:
        wait, answers = report.explain(seen.desired, seen.ledger, seen.nodes, desired)
        reason, message, nodes = wait.reason, wait.message, dict(answers)
    if output is Output.JSON:
        facts = {name: value for name, value in dump_project(found).items() if name != "runs"}
        print_json({**facts, "reason": reason, "message": message, "nodes": nodes})
        return
    say = out().print
    say(text(found.project, "bold") + Text("  ") + phase(found.phase) + text(f"  {reason}"))
    say(text(f"  {message}"))
    for line in waiting_lines(found):
        if line.plain != message:
            say(Text("  ") + line)
    for condition in (*source_troubles(status), *found.conditions):
        mark, style = ("·", "dim") if condition.type in INFORMATION else ("!", "yellow")
        say(text(f"  {mark} {condition.type}: {condition.message}", style))
    for node, answer in in_order(nodes):
        say(text(f"  {node}: {choice(answer)}"))
