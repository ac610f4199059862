"""The connection to the engine, and its errors in our words."""

import contextlib
import re
import threading
from collections.abc import Iterator

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, InvalidConfigFile

from reconciler.errors import EngineUnavailable, GpuLost, StartFailed

ANSWER = 10
"""Seconds within which an engine that lives answers a question."""

WORK = 600
"""Seconds for what it has to do: layers of a large image on a slow disk, a GPU that wakes up."""

CONNECTIONS = 64
"""A stage holds up to three: its end and two streams of its log."""

GPU_GONE = (
    r"nvidia-container-cli.*(unknown device|nvml error|driver error)"  # of NVIDIA's hook
    r"|unresolvable CDI device"
    r"|adding custom device"  # the file of one of AMD's
)
"""What is said below the engine of a device that was there when it was claimed."""

LOST = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Engine:
    """Connects at the first use and again after the engine was away; shared by all threads."""

    def __init__(self, host: str | None) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._clients: dict[int, docker.DockerClient] = {}

    @property
    def api(self) -> docker.APIClient:
        return self._api(ANSWER)

    def _api(self, timeout: int) -> docker.APIClient:
        with self._lock:
            if ANSWER not in self._clients:  # also learns the version: an engine that hangs shows soon
                self._clients[ANSWER] = self._connect("auto", ANSWER)
            if timeout not in self._clients:
                self._clients[timeout] = self._connect(self._clients[ANSWER].api.api_version, timeout)
            return self._clients[timeout].api

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    @contextlib.contextmanager
    def asked(self, timeout: int = ANSWER) -> Iterator[docker.APIClient]:
        """The engine's API; that it does not answer, or fails itself, becomes EngineUnavailable."""
        try:
            yield self._api(timeout)
        except APIError as error:
            raise engine_failed(words(error)) from error
        except (DockerException, *LOST) as error:
            raise self.unavailable(error) from error

    def _connect(self, version: str, timeout: int) -> docker.DockerClient:
        try:
            if self._host is None:
                return docker.from_env(version=version, timeout=timeout, max_pool_size=CONNECTIONS)
            return docker.DockerClient(base_url=self._host, version=version, timeout=timeout, max_pool_size=CONNECTIONS)
        except (InvalidConfigFile, ValueError) as error:  # the client reads this user's logins at once
            raise EngineUnavailable(
                "~/.docker/config.json of the reconciler's user can't be read: repair it, or remove it and log in anew "
                "with docker login"
            ) from error

    def unavailable(self, error: Exception) -> EngineUnavailable:
        """That it does not answer, in words for people."""
        where = self._host or "DOCKER_HOST or unix:///var/run/docker.sock"
        if isinstance(error, requests.ReadTimeout):
            return EngineUnavailable(
                f"the container engine at {where} takes requests but does not answer: it hangs, or the machine is "
                "overloaded; if it lasts: `sudo systemctl restart docker` (stages live on only with live-restore)"
            )
        return EngineUnavailable(
            f"the container engine at {where} does not answer ({_root(error)}): start it with "
            "`sudo systemctl start docker`, and let this user reach it (group docker)"
        )


def engine_failed(said: str) -> EngineUnavailable:
    """It answers, but can't do what was asked; tried again, for it is not the order's fault."""
    if is_disk_full(said):
        return EngineUnavailable(
            f"the container engine's disk is full ({said}): free some of it (`docker system df` says where it went, "
            "`docker image prune` removes old images); it is tried again by itself"
        )
    return EngineUnavailable(f"the container engine failed: {said}")


def is_disk_full(said: str) -> bool:
    return "no space left on device" in said or "disk quota exceeded" in said


def words(error: APIError) -> str:
    """The engine's own explanation, without the client's decoration."""
    return str(error.explanation or error).strip()


def start_failed(error: APIError, *, image: str, command: tuple[str, ...]) -> StartFailed | GpuLost | None:
    """What a refused creation or start means, if starting it again the same way can't help."""
    said = words(error)
    if is_disk_full(said):
        return None
    if re.search(GPU_GONE, said):
        message = f"the engine can't give the claim's GPU to its container ({said})"
        return GpuLost(message, counts=True, is_refused=True)
    if "could not select device driver" in said or "nvidia-container" in said:
        return StartFailed(
            "GpuRuntimeMissing",
            f"the engine can't give GPUs to containers ({said}): install nvidia-container-toolkit on this node, "
            "or drain it for GPU stages",
        )
    if "docker-init" not in said and re.search(r"executable file not found|permission denied.*exec|exec format", said):
        return StartFailed("CommandNotFound", command_not_found(image, command, said))
    if 400 <= (error.status_code or 0) < 500 or "OCI runtime create failed" in said:
        return StartFailed("BadRequest", f"the engine refuses to start image '{image}': {said}")
    return None


def command_not_found(image: str, command: tuple[str, ...], said: str) -> str:
    shown = f"command '{command[0]}'" if command else "the image's own command"
    return f"{shown} can't be executed in image '{image}' ({said}); correct `command` in the pipeline"


def _root(error: BaseException) -> str:
    """The innermost cause in a few words: the libraries wrap it up to five times."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
