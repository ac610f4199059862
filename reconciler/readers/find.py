"""Finding what a person named, with an answer that helps when it isn't there."""

import difflib

from reconciler.core.names import ProjectName, RunNumber
from reconciler.core.status import ProjectStatus, RunStatus, Status
from reconciler.errors import BadInput


def find_project(status: Status, name: ProjectName) -> ProjectStatus:
    """BadInput with the nearest name if there is no such project."""
    found = next((project for project in status.projects if project.project == name), None)
    if found is not None:
        return found
    names = [project.project for project in status.projects]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; there are: {', '.join(names) or 'none yet'}"
    raise BadInput(f"there is no project '{name}'{hint}")


def find_run(status: Status, name: ProjectName, number: RunNumber) -> RunStatus:
    project = find_project(status, name)
    found = next((run for run in project.runs if run.run == number), None)
    if found is not None:
        return found
    known = f"its last one is {project.last_run}" if project.last_run else "nothing ran yet"
    raise BadInput(f"project '{name}' has no run {number}; {known}")
