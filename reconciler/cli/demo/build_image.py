"""The example's image: from the ordinary Python base, else from a Debian base made on this machine."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import urllib3
from docker import APIClient
from docker.errors import APIError, ImageNotFound

from reconciler.adapters.docker.engine import words
from reconciler.assets import asset
from reconciler.cli.demo.debian_base import DebianBase
from reconciler.cli.demo.report import Report, Step
from reconciler.errors import WinslowError

IMAGE = "winslow/traffic-flow:0.1"
LABEL = "winslow.example"
"""Holds the hash of the files that the image was made from."""

PYTHON_BASE = "python:3.11-slim"
PULL_PATIENCE = 20
"""Seconds without a word from the registry after which it counts as out of reach."""

Event = Mapping[str, Any]


class ImageUnavailable(WinslowError):
    """The example's image is not here and can't be made here; the message says why."""


class ImageBuilder:
    def __init__(self, api: APIClient, report: Report) -> None:
        self._api = api
        self._report = report
        self._example = asset("examples/traffic-flow")
        self._debian = DebianBase(api)

    def ensure(self) -> None:
        """Make the image present and up to date. ImageUnavailable with all the reasons if no way works."""
        wanted = fingerprint(self._example)
        labels = self._labels(IMAGE)
        if labels is not None and labels.get(LABEL) in (None, wanted):
            return  # without our label somebody built it by hand, as the example's page says: it is theirs
        reasons = []
        for base in (self._python_base, self._debian_base):
            try:
                self._build(base(), wanted)
            except ImageUnavailable as error:
                reasons.append(str(error))
            else:
                return
        raise ImageUnavailable(f"the image {IMAGE} is missing and can't be made here: {'; '.join(reasons)}")

    def _labels(self, image: str) -> Mapping[str, str] | None:
        """None: there is no such image."""
        try:
            return _labels_of(self._api.inspect_image(image))  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return None

    def _python_base(self) -> str:
        if self._labels(PYTHON_BASE) is None:
            repository, tag = PYTHON_BASE.split(":")
            with self._report.busy(f"pulling {PYTHON_BASE}") as step, _patience(self._api, PYTHON_BASE):
                _watch(self._api.pull(repository, tag=tag, stream=True, decode=True), step)
        return PYTHON_BASE

    def _debian_base(self) -> str:
        if self._labels(self._debian.name) is None:
            reason = self._debian.obstacle()
            if reason:
                raise ImageUnavailable(reason)
            with self._report.busy(f"making {self._debian.name} with mmdebstrap, which takes some minutes") as step:
                failure = self._debian.make(step)
            if failure:
                raise ImageUnavailable(failure)
        return self._debian.name

    def _build(self, base: str, wanted: str) -> None:
        with self._report.busy(f"building {IMAGE} from {base}") as step:
            events = self._api.build(
                path=str(self._example),
                tag=IMAGE,
                buildargs={"BASE": base},
                labels={LABEL: wanted},
                rm=True,
                forcerm=True,
                decode=True,
            )
            _watch(events, step)


def _watch(events: Iterable[Event], step: Step) -> None:
    """Show the steps; an error among the engine's events becomes ImageUnavailable."""
    shown = ""
    for event in events:
        if "error" in event:
            raise ImageUnavailable(" ".join(str(event["error"]).split())[:300])
        words = str(event.get("stream") or event.get("status") or "")
        if words.startswith(("Step ", "Pulling", "Downloading", "Extracting", "Pull complete")) and words != shown:
            shown = words
            step(words)


@contextmanager
def _patience(api: APIClient, image: str) -> Iterator[None]:
    """While a registry is asked: its silence ends the wait, not the demo."""
    before, api.timeout = api.timeout, PULL_PATIENCE
    try:
        yield
    except APIError as error:
        raise ImageUnavailable(f"{image} can't be pulled ({words(error)[:200]})") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise ImageUnavailable(f"{image} can't be pulled (no answer for {PULL_PATIENCE} s)") from error
    finally:
        api.timeout = before


def _labels_of(image: Event) -> Mapping[str, str]:
    labels: Mapping[str, str] | None = image["Config"].get("Labels")
    return labels or {}


def fingerprint(example: Path) -> str:
    """Hash of everything that goes into the image."""
    digest = hashlib.sha256()
    sources = [path for path in (example / "traffic").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in [example / "Dockerfile", *sorted(sources)]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(example).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
