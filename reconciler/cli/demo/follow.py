"""Watching the project and the nodes: until it rests, until everything is written, then as long as people like."""

import shlex
import time
from collections.abc import Callable

from reconciler.cli.demo.display import Display
from reconciler.cli.demo.layout import PROJECT, Layout
from reconciler.cli.demo.processes import Nodes
from reconciler.cli.output import called
from reconciler.core.status import ProjectPhase, ProjectStatus
from reconciler.errors import Transient, WinslowError
from reconciler.readers import Reader
from reconciler.readers.find import find_project

LOOK = 0.5
WRITTEN = 30.0
"""Seconds within which the nodes have published what they know."""

AT_REST = {
    ProjectPhase.SUCCEEDED,
    ProjectPhase.FAILED,
    ProjectPhase.INVALID,
    ProjectPhase.AWAITING_INPUT,
    ProjectPhase.PAUSED,
}


class NodesEnded(WinslowError):
    """No node is left to go on with."""


class Follower:
    def __init__(self, layout: Layout, reader: Reader, nodes: Nodes) -> None:
        self._layout = layout
        self._reader = reader
        self._nodes = nodes
        self._fault = ""

    def until_rest(self, display: Display) -> ProjectStatus:
        """Show it until nothing moves any more. NodesEnded if nobody is left to move it."""
        while True:
            project = self.look(display)
            if project is not None and project.phase in AT_REST:
                return project
            if self._nodes.all_have_ended():
                raise NodesEnded(f"all nodes have ended; their logs in {self._layout.root / 'logs'} say why")
            time.sleep(LOOK)

    def look(self, display: Display) -> ProjectStatus | None:
        """One look at everything; None while it can't be read, or the project's commit was not fetched yet."""
        for node in self._nodes.fallen():
            command = shlex.join(self._nodes.arguments(node.name))
            display.say(f"node {node.name} (pid {node.process.pid}) {node.how()}; what it ran is not lost")
            display.say(f"  to start it again: {called()} {command}")
            if not node.was_killed():
                display.say(f"  its log {self._layout.log(node.name)} ends with: {self._nodes.last_words(node.name)}")
        try:
            projects = self._reader.status().projects
        except Transient as error:
            if str(error) != self._fault:
                self._fault = str(error)
                display.say(f"  {error}")
            return None
        self._fault = ""
        project = next((project for project in projects if project.project == PROJECT), None)
        if project is not None:
            display.show(project)
        return project

    def busy_nodes(self) -> set[str]:
        """Whose stages run, as far as it can be seen."""
        try:
            return {node.node for node in self._reader.status().nodes if node.running}
        except WinslowError:
            return set()

    def until_written(self, project: ProjectStatus, observed: Callable[[], Reader]) -> None:
        """Until branch ``observed`` says the same and the results are copied, or somebody has waited long enough."""
        deadline = time.monotonic() + WRITTEN
        while time.monotonic() < deadline and not self._is_written(project, observed()):
            time.sleep(LOOK)

    def _is_written(self, project: ProjectStatus, observed: Reader) -> bool:
        try:
            told = find_project(observed.status(), project.project)
            copied = project.phase is not ProjectPhase.SUCCEEDED or bool(
                project.last_run and self._reader.output_files(project.project, project.last_run)
            )
        except WinslowError:
            return False
        return copied and (told.phase, told.last_run) == (project.phase, project.last_run)
