"""One pull: the engine's stream of events, added up over the layers, and what it says in the end.

It may take hours, so only silence ends it. Whoever gives it up closes the stream, and the engine stops pulling.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import docker
import requests
from docker import auth
from docker.errors import APIError, create_api_error_from_http_exception

from reconciler.adapters.docker.registry import failure, registry_failed, silent
from reconciler.core.image_names import PullProgress, familiar

SILENCE = 600.0
"""Seconds without a word, after which a pull is given up and tried again: unpacking on a slow disk takes a while."""

SETTLED = {"Already exists", "Download complete", "Verifying Checksum", "Extracting", "Pull complete"}

Event = Mapping[str, Any]
Tell = Callable[[PullProgress], None]


def pull(api: docker.APIClient, image: str, login: Mapping[str, Any] | None, tell: Tell) -> None:
    """Pull exactly the tag or digest that ``image`` names."""
    name, _, digest = familiar(image).partition("@")
    repository, tag = (name, digest) if digest else name.rsplit(":", 1)
    headers = {"X-Registry-Auth": auth.encode_header(dict(login))} if login else {}
    url = f"{api.base_url}/v{api.api_version}/images/create"
    try:
        # the client's own ``pull`` would wait for ever for an engine that hangs in a registry
        asked = {"fromImage": repository, "tag": tag}
        with closing(api.post(url, params=asked, headers=headers, stream=True, timeout=SILENCE)) as answer:
            _raise_for_status(answer)
            layers = Layers()
            for event in _events(answer):
                if "error" in event:
                    raise failure(str(event["error"]), image)
                layers.hear(event)
                tell(layers.progress)
    except APIError as error:
        raise registry_failed(error, image) from error
    except (requests.ReadTimeout, requests.ConnectionError) as error:
        if "timed out" not in str(error):  # the engine itself went away
            raise
        raise silent(image, f"nothing heard for {SILENCE / 60:.0f} minutes") from error


def _raise_for_status(answer: requests.Response) -> None:
    try:
        answer.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)


def _events(answer: requests.Response) -> Iterator[Event]:
    lines: Iterable[bytes] = answer.iter_lines()
    for line in lines:
        if line:
            yield json.loads(line)


@dataclass(slots=True)
class _Layer:
    done: int = 0
    total: int = 0
    is_settled: bool = False


class Layers:
    """Adds up what is told of each layer."""

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}

    def hear(self, event: Event) -> None:
        status, name = str(event.get("status") or ""), event.get("id")
        if name is None or status.startswith("Pulling from"):
            return
        layer = self._layers.setdefault(str(name), _Layer())
        detail = event.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total", -1) > 0:
            layer.done, layer.total = int(detail["current"]), int(detail["total"])
        elif status in SETTLED:
            layer.done, layer.is_settled = layer.total, True

    @property
    def progress(self) -> PullProgress:
        layers = self._layers.values()
        done = sum(layer.done for layer in layers)
        is_known = all(layer.total or layer.is_settled for layer in layers)
        return PullProgress(done, sum(layer.total for layer in layers) if is_known else 0)
