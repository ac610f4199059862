"""Which records the files of the branch ``observed`` tell of, without reading them whole.

Each node asks at each change of the branch, and there may be thousands of files: only the lines that name the last
record are read. What somebody broke by hand tells of nothing.
"""

import re
from collections.abc import Mapping

import yaml

from reconciler.core.ledger_behind import Noted
from reconciler.core.names import ProjectName, RecordNumber, RunNumber, Token

LINES = re.compile(r"^(?:record|token): .*$", re.MULTILINE)
RUN = re.compile(r"([0-9]+)-.*\.yaml")
VERSION = re.compile(r"^version: ([0-9]+)$", re.MULTILINE)


def noted(path: str, text: str) -> Noted | None:
    """The last record of which the file at ``path`` tells, if it is a project's or a run's."""
    match path.split("/"):
        case ["projects", project, "status.yaml"]:
            return _noted(project, 0, text)
        case ["projects", project, "runs", name] if (found := RUN.fullmatch(name)) is not None:
            return _noted(project, int(found[1]), text)
        case _:
            return None


def _noted(project: str, run: int, text: str) -> Noted | None:
    try:
        fields = yaml.safe_load("\n".join(LINES.findall(text)))
    except (yaml.YAMLError, ValueError):
        return None
    match fields:
        case {"record": int(record), "token": str(token)} if record > 0:
            return Noted(
                project=ProjectName(project), run=RunNumber(run), record=RecordNumber(record), token=Token(token)
            )
        case _:
            return None


def version(files: Mapping[str, str]) -> int:
    """Of the Winslow that wrote the branch; 0: nobody has."""
    found = VERSION.search(files.get("status.yaml", ""))
    return int(found[1]) if found else 0
