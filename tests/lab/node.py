"""A reconciler on a machine, as systemd would start it, and what can be seen of it from outside."""

import json
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.guest import Machine
from tests.lab.waiting import demand, until

MOUNTED = "/mnt/winslow"
LOCAL = "/mnt/local"
HEALTH_PORT = 9464
WINSLOW = (sys.executable, "-c", "from reconciler.cli.main import main; main()")


@dataclass(frozen=True)
class Place:
    """What all nodes of a site have in common."""

    name: str
    url: str  # of its state repository
    certificate: Path  # of the git server
    release: Path  # the Winslow that they run

    def environment(self, release: Path | None = None) -> dict[str, str]:
        return {
            "PYTHONPATH": str(release or self.release),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_SSL_CAINFO": str(self.certificate),
            "HOME": LOCAL,
        }


@dataclass(eq=False)
class Node:
    """A reconciler on a machine. Its name is the machine's, unless somebody cloned it."""

    machine: Machine
    place: Place
    name: str
    pid: int = 0

    @property
    def local(self) -> str:
        return f"{LOCAL}/{self.place.name}/{self.name}"

    @property
    def log(self) -> str:
        return f"{self.local}.log"

    def start(self, release: Path | None = None) -> None:
        """Begin to start the reconciler; ``await_joined`` waits for it."""
        self.machine.ask("write", path=f"{self.local}.yaml", text=json.dumps(self.config(), indent=1))
        self.pid = self.machine.ask(
            "spawn",
            command=[*WINSLOW, "--config", f"{self.local}.yaml", "node"],
            environment=self.place.environment(release),
            log=self.log,
        )

    def await_joined(self, within: float = 90.0) -> None:
        until(f"{self.name} joins the site", lambda: self.joins() or not self.is_running, within=within)
        demand(self.is_running, f"{self.name} does not start: {self.said()[-2000:]}")

    def joins(self) -> int:
        """How often it has joined so far."""
        return self.said().count('"node_joined"')

    def config(self) -> dict[str, Any]:
        return {
            "version": 1,
            "name": self.name,
            "state": {"url": self.place.url},
            "share": f"{MOUNTED}/{self.place.name}",
            "local": self.local,
            "runtime": "process",
            "poll": "5s",
            "listen": f"{self.machine.address}:{HEALTH_PORT}",
            "process": {"stop_grace": "2s"},
        }

    @property
    def is_running(self) -> bool:
        return bool(self.machine.ask("lives", pid=self.pid))

    def kill(self) -> None:
        self.machine.ask("kill", pid=self.pid, number=9)

    def said(self) -> str:
        return str(self.machine.ask("read", path=self.log))

    def stages(self, project: str = "") -> list[dict[str, str]]:
        """Programs of this site's stages that run on the machine."""
        found = self.machine.ask("stages")
        here = f"{MOUNTED}/{self.place.name}/"
        mine = [one for one in found if one.get("workspace", "").startswith(here) and "attempt" in one]
        return [one for one in mine if not project or one["project"] == project]

    def health(self, within: float = 5.0) -> dict[str, Any]:
        """What its HTTP port answers; empty if it does not."""
        url = f"http://{self.machine.address}:{HEALTH_PORT}/healthz"
        opener = urllib.request.build_opener(_Errors())
        try:
            with opener.open(url, timeout=within) as answer:
                return dict(json.load(answer))
        except OSError:
            return {}

    def conditions(self) -> dict[str, str]:
        return {one["type"]: one["message"] for one in self.health().get("conditions", ())}


class _Errors(urllib.request.HTTPErrorProcessor):
    """503 is an answer, too."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response
