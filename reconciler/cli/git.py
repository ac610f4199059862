"""Git as a person would type it: in clones, with the person's own configuration."""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from reconciler.errors import BadInput, Transient

TIMEOUT = 60.0
PATIENCE = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": f"{TIMEOUT:.0f}"}
"""What git started for an address outlives git: it must give up by itself."""
ENGLISH = {"LC_ALL": "C", "LANGUAGE": ""}  # git's words stand within our sentences
IDENTITY = {"user.name": "Winslow", "user.email": "winslow@localhost"}


LOCKED = "cannot lock ref"
"""Git's words when another command fetches into the same clone at this moment."""
TRIES = 20
PAUSE = 0.2


def git(directory: Path, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> str:
    """Output of a command that must work; Transient with git's own words if it does not."""
    code, output, complaint = attempt(directory, *arguments, stdin=stdin, extra=extra)
    if code != 0:
        raise Transient(f"git {arguments[0]} failed in {directory}: {complaint or output}")
    return output


def succeeds(directory: Path, *arguments: str) -> bool:
    return attempt(directory, *arguments)[0] == 0


def attempt(
    directory: Path,
    *arguments: str,
    stdin: bytes = b"",
    extra: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> tuple[int, str, str]:
    """Exit code, output, complaint. A hook's or alias' GIT_DIR must not lead us into another repository.

    ``extra``: variables for this one command. Raises Transient after ``timeout`` seconds.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_DIR", "GIT_WORK"))}
    environment = {name: value for name, value in environment.items() if name != "GIT_INDEX_FILE"}
    try:
        ended = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            env={**PATIENCE, **environment, **ENGLISH, "GIT_TERMINAL_PROMPT": "0", **(extra or {})},
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise BadInput("git is not installed, or not on your PATH; install it: apt-get install git") from error
    except subprocess.TimeoutExpired as error:
        raise Transient(f"git {arguments[0]} gave no answer within {timeout:.0f} seconds in {directory}") from error
    return ended.returncode, _words(ended.stdout), _words(ended.stderr)


def _words(output: bytes) -> str:
    return output.decode(errors="replace").strip()


def fetch(directory: Path, remote: str, *branches: str, timeout: float = TIMEOUT) -> str:
    """Brings remote-tracking branches up to date in one conversation; what git complained of, or nothing.

    By an asterisk at its end a missing branch is no error.
    """
    refspecs = [f"+refs/heads/{name}:refs/remotes/{remote}/{name}" for name in branches]
    patience = {"GIT_HTTP_LOW_SPEED_TIME": f"{timeout:.0f}"}
    for _ in range(TRIES):
        code, _, said = attempt(
            directory,
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remote, *refspecs),
            extra=patience,
            timeout=timeout,
        )
        if LOCKED not in said:
            break
        time.sleep(PAUSE)
    return "" if code == 0 else said or "git fetch failed"


def enclosing_repository(directory: Path) -> Path | None:
    """The work tree that ``directory`` lies in (or will lie in, if it doesn't exist yet)."""
    existing = next(parent for parent in (directory, *directory.absolute().parents) if parent.is_dir())
    code, found, _ = attempt(existing, "rev-parse", "--show-toplevel")
    return Path(found) if code == 0 and found else None


def has_identity(directory: Path) -> bool:
    """Would git know whom to commit as? A fresh account has no name yet."""
    return all(succeeds(directory, "config", key) for key in IDENTITY) or succeeds(directory, "var", "GIT_AUTHOR_IDENT")


def set_identity(directory: Path) -> None:
    """For a clone that is ours to throw away: there people's own commits work, too."""
    for key, value in IDENTITY.items():
        git(directory, "config", key, value)


def commit(directory: Path, message: str, *paths: str, anonymous: bool = False) -> None:
    """``anonymous``: as Winslow, for this one commit."""
    settings = {"commit.gpgSign": "false", **(IDENTITY if anonymous else {})}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    git(directory, "add", "--", *paths)
    git(directory, *options, "commit", "--quiet", "-m", message, "--", *paths)
