"""The order of the demo: choose, make, start, ask, follow, tell, serve, end."""

import shlex
import time
from collections.abc import Sequence
from functools import partial

from readonly_ui.app import create_app
from reconciler.cli.demo import layout as files
from reconciler.cli.demo.asked import Asked
from reconciler.cli.demo.display import Lines, display
from reconciler.cli.demo.ending import what_to_try, where_to_look
from reconciler.cli.demo.follow import Follower
from reconciler.cli.demo.layout import PROJECT, Layout
from reconciler.cli.demo.page import Page
from reconciler.cli.demo.processes import Nodes
from reconciler.cli.demo.report import Report
from reconciler.cli.demo.runtime import choose
from reconciler.cli.output import called, err, out, print_json
from reconciler.codec.config import load_config
from reconciler.compose import open_clone_reader, open_reader
from reconciler.core.status import ProjectPhase, ProjectStatus


class Course:
    """One demo from its beginning to its end. With ``as_json`` stdout gets the one object and nothing else."""

    def __init__(self, layout: Layout, names: Sequence[str], *, as_json: bool) -> None:
        self._layout = layout
        self._names = names
        self._as_json = as_json
        self._report = Report(err() if as_json else out())
        self._nodes = Nodes(layout)
        self._began = time.monotonic()

    def run(self, asked: Asked, *, port: int, serve_on: bool) -> bool:
        """True if the project succeeded. Whatever ends us, the nodes end first."""
        runtime = choose(asked, self._layout, self._names[0], self._report)
        files.make(self._layout, self._names, runtime)
        reader = open_reader(load_config(self._layout.config(self._names[0])), purpose="demo")
        follower = Follower(self._layout, reader, self._nodes)
        try:
            with Page(create_app(reader, title="Winslow demo"), port) as page:
                self._nodes.start(self._names)
                self._tell_beginning(runtime, page.url)
                if files.ask_for_project(self._layout):
                    self._report.say(f"asked for {PROJECT}: three stages, one to three minutes")
                project = self._follow(follower)
                self._tell_end(project, runtime, page.url)
                if serve_on:
                    self._serve(follower, project)  # whatever people try then is no failure of the demo
        finally:
            self._end(follower)
        return project.phase is ProjectPhase.SUCCEEDED

    def _tell_beginning(self, runtime: str, url: str) -> None:
        say = self._report.say
        nodes = ", ".join(f"{name} (pid {pid})" for name, pid in self._nodes.pids().items())
        say(f"nodes: {nodes}; stages run {'in Docker' if runtime == 'docker' else 'as plain processes'}")
        say(f"page:  {url}")

    def _follow(self, follower: Follower) -> ProjectStatus:
        shown = display(self._report.console)
        try:
            project = follower.until_rest(shown)
        finally:
            shown.close()
        follower.until_written(project, partial(open_clone_reader, self._layout.remote))
        return project

    def _tell_end(self, project: ProjectStatus, runtime: str, url: str) -> None:
        for line in ("", *where_to_look(self._layout, project, url), "", *what_to_try(self._layout, project)):
            self._report.say(line)
        if self._as_json:
            print_json(
                {
                    "dir": str(self._layout.root),
                    "url": url,
                    "project": PROJECT,
                    "phase": project.phase,
                    "runs": len(project.runs),
                    "seconds": round(time.monotonic() - self._began, 1),
                    "runtime": runtime,
                    "nodes": self._nodes.pids(),
                }
            )

    def _serve(self, follower: Follower, project: ProjectStatus) -> None:
        """Go on until Ctrl-C, telling what happens."""
        self._report.say("\nthe nodes and the page go on; Ctrl-C ends them")
        shown = Lines(self._report.console)
        shown.seen(project)
        try:
            while True:
                time.sleep(1.0)
                follower.look(shown)
        except KeyboardInterrupt:
            return

    def _end(self, follower: Follower) -> None:
        """Also what a killed node left running ends: that node comes back for it."""
        self._report.say("ending the nodes and what they run (Ctrl-C again: kill the nodes alone) ...")
        try:
            self._nodes.revive(follower.busy_nodes())
        finally:
            self._nodes.end()
        self._report.say(f"ended; {called()} demo --dir {shlex.quote(str(self._layout.root))} goes on from here")
