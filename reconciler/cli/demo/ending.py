"""What the demo says at its end: where to look, and what to try."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from reconciler.cli.demo.layout import PROJECT, Layout
from reconciler.cli.output import called
from reconciler.cli.status import waiting_lines
from reconciler.core.names import run_directory
from reconciler.core.status import ProjectPhase, ProjectStatus

THRESHOLD = "0.45"


def where_to_look(layout: Layout, project: ProjectStatus, url: str) -> Iterator[str]:
    results = layout.share / "projects" / PROJECT / "output"
    if project.phase is ProjectPhase.SUCCEEDED and project.runs:
        last = project.runs[-1]
        yield f"{PROJECT} has succeeded. Where to look:"
        yield f"  report    {results / run_directory(last.run, last.stage) / 'report.html'}"
        yield f"  results   {results}"
    else:
        yield f"{PROJECT} is {project.phase}."
        yield from (f"  {line.plain}" for line in waiting_lines(project))
        yield "Where to look:"
    yield f"  page      {url}"
    yield f"  history   git -C {_quoted(layout.remote)} log observed --oneline"
    yield f"  status    {called()} status --config {_quoted(layout.config('alpha'))}"
    yield f"  node logs {layout.root / 'logs'}"


def what_to_try(layout: Layout, project: ProjectStatus) -> Iterator[str]:
    """Commands to paste; the request names the run that is the last one now."""
    stages = [stage.stage for stage in project.stages]
    if not stages or project.last_run is None:
        return
    yield "What to try: the first stage again with another threshold. In another terminal:"
    yield f"  cd {_quoted(layout.state)}"
    if _has_fields(layout.project_file):
        yield f"  # in projects/{PROJECT}.yaml change environment and next to these two lines:"
        yield f'  #   environment: {{THRESHOLD: "{THRESHOLD}"}}'
        yield f"  #   next: {{stage: {stages[0]}, after: {project.last_run}}}"
    else:
        yield f"  cat >> projects/{PROJECT}.yaml <<'END'"
        yield f'environment: {{THRESHOLD: "{THRESHOLD}"}}'
        yield f"next: {{stage: {stages[0]}, after: {project.last_run}}}"
        yield "END"
    yield "  git commit -am 'Detect more carefully' && git push"


def _has_fields(project_file: Path) -> bool:
    """Appending to a file that says it already would make a duplicate key."""
    try:
        lines = project_file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return True
    return any(line.startswith(("environment:", "next:")) for line in lines)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
