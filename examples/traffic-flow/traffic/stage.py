"""The contract between a stage and whatever runs it: directories and parameters in, lines and files out."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from traffic.errors import ParameterError, StageError
from traffic.parameters import whole_number

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a stage reads and writes, and its parameters."""

    workspace: Path
    """Starts as a copy of the previous stage's workspace; the next stage gets what is left here."""
    output: Path
    """For people to look at."""
    inputs: tuple[Path, ...]
    cpus: int
    environment: Mapping[str, str]

    def video(self) -> Path:
        """The one video among the declared inputs."""
        videos = [path for path in self.inputs if path.suffix.lower() in VIDEO_SUFFIXES]
        if len(videos) != 1:
            found = ", ".join(path.name for path in videos) or "none"
            raise StageError(
                f"one video is needed, found {found}: declare exactly one under the project's 'inputs'"
            )
        if not videos[0].is_file():
            raise StageError(f"the video {videos[0]} does not exist: check the project's 'inputs'")
        return videos[0]

    def needs(self, name: str, made_by: str) -> Path:
        """The file `name` of an earlier stage's workspace."""
        path = self.workspace / name
        if not path.is_file():
            raise StageError(f"{name} is not in the workspace: run the stage '{made_by}' first")
        return path


def stage_from(environment: Mapping[str, str]) -> Stage:
    """Reads the contract's variables; creates nothing."""
    return Stage(
        workspace=_directory(environment, "WINSLOW_WORKSPACE"),
        output=_directory(environment, "WINSLOW_OUTPUT"),
        inputs=_inputs(environment.get("WINSLOW_INPUTS", "[]")),
        cpus=whole_number(environment, "WINSLOW_CPUS", 1, 1, 1024),
        environment=environment,
    )


def _directory(environment: Mapping[str, str], name: str) -> Path:
    text = environment.get(name, "")
    if not text:
        raise ParameterError(
            f"{name} must name a directory; Winslow sets it, without Winslow set it yourself"
        )
    return Path(text)


def _inputs(text: str) -> tuple[Path, ...]:
    try:
        paths = json.loads(text)
    except json.JSONDecodeError:
        paths = None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise ParameterError(f"WINSLOW_INPUTS must be a JSON list of paths, not '{text}'")
    return tuple(Path(path) for path in paths)


def run(work: Callable[[Stage], None]) -> int:
    """Does a stage's `work`; the exit code. Whatever fails is one line on stderr, never a traceback."""
    try:
        stage = stage_from(os.environ)
        stage.workspace.mkdir(parents=True, exist_ok=True)
        stage.output.mkdir(parents=True, exist_ok=True)
        work(stage)
    except StageError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error}: check the disk's space and the directory's permissions", file=sys.stderr)
        return 1
    except Exception as error:  # the last resort: a bug of ours must still reach the user as one line
        (stage.workspace / "traceback.txt").write_text(traceback.format_exc())
        what = " ".join(f"{type(error).__name__}: {error}".split())
        print(
            f"error: unexpected {what}: please report it with the workspace's traceback.txt", file=sys.stderr
        )
        return 1
    return 0


class Progress:
    """Prints `progress N %` when the whole number grows, so at most about a hundred lines a stage."""

    def __init__(self) -> None:
        """Nothing is printed yet."""
        self._shown = -1

    def at(self, done: int, total: int) -> None:
        """`done` of `total` steps are behind us."""
        percent = min(100, 100 * done // max(total, 1))
        if percent > self._shown:
            self._shown = percent
            print(f"progress {percent} %", flush=True)


def result(**values: object) -> None:
    """Prints figures that the run's record keeps."""
    for key, value in values.items():
        print(f"WINSLOW_RESULT: {key}={value}", flush=True)
