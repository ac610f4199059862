"""A base image without any registry: a small Debian with Python and OpenCV, from this machine's own apt sources."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import requests
from docker import APIClient
from docker.errors import APIError

PACKAGES = "python3,python3-opencv,python3-scipy,python3-matplotlib"
SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources"))
RELEASE = Path("/etc/os-release")
OLD = {"stretch", "buster", "bullseye"}
"""Their Python is older than 3.11."""


class DebianBase:
    def __init__(self, api: APIClient) -> None:
        self._api = api
        self._suite = _suite()
        self.name = f"winslow/python-base:{self._suite}"

    def obstacle(self) -> str:
        """Why it can't be made here; empty if it can."""
        if shutil.which("mmdebstrap") is None:
            return "mmdebstrap is not installed to make a base (apt-get install mmdebstrap)"
        if os.geteuid() != 0:
            return "making a base with mmdebstrap needs root"
        if self._suite in OLD:
            return f"Debian {self._suite} has no Python 3.11"
        return ""

    def make(self, step: Callable[[str], None]) -> str:
        """Bootstrap and import in one stream; why it failed, or nothing."""
        command = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", self._suite, "-", *_sources()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as run:
            said: list[str] = []
            listener = threading.Thread(target=_listen, args=(run, said, step), daemon=True)
            listener.start()
            refused = self._import(run)
            listener.join()
        if run.returncode == 0 and not refused:
            return ""
        self._forget()
        return refused or f"mmdebstrap failed ({said[-1] if said else f'code {run.returncode}'})"

    def _import(self, run: "subprocess.Popen[bytes]") -> str:
        repository, tag = self.name.split(":")
        try:
            self._api.import_image_from_stream(run.stdout, repository=repository, tag=tag)
        except (APIError, requests.RequestException, OSError) as error:
            return f"the engine did not take the base ({error})"
        except BaseException:
            run.terminate()
            raise
        return ""

    def _forget(self) -> None:
        """What was imported of a bootstrap that failed is no base."""
        try:
            self._api.remove_image(self.name)
        except (APIError, requests.RequestException):
            return


def _listen(run: "subprocess.Popen[bytes]", said: list[str], step: Callable[[str], None]) -> None:
    assert run.stderr is not None  # noqa: S101  (asked for as a pipe)
    for line in run.stderr:
        words = line.decode(errors="replace").strip()
        if words.startswith(("I: ", "E: ")):
            said.append(words[3:])
            step(words[3:])


def _suite() -> str:
    """This machine's Debian, so that its own sources serve it; elsewhere the one that the example was tried on."""
    facts = dict(line.split("=", 1) for line in RELEASE.read_text().splitlines() if "=" in line)
    return facts.get("VERSION_CODENAME", "bookworm") if facts.get("ID") == "debian" else "bookworm"


def _sources() -> list[str]:
    """The first file that names packages; none elsewhere than on Debian, where mmdebstrap knows its mirror."""
    if "ID=debian" not in RELEASE.read_text().splitlines():
        return []
    return [str(path) for path in SOURCES if path.is_file() and "deb" in path.read_text()][:1]
