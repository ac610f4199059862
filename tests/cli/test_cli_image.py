"""When the demo builds the example's image, and what it says when it can't. Scripted answers of an engine."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from docker import APIClient
from docker.errors import APIError, ImageNotFound
from rich.console import Console

from reconciler.assets import asset
from reconciler.cli.demo.build_image import IMAGE, LABEL, PYTHON_BASE, ImageBuilder, ImageUnavailable, fingerprint
from reconciler.cli.demo.report import Report


class Engine:
    """Holds images by name with their labels; builds what it is told to, or fails as it is told to."""

    def __init__(self, images: Mapping[str, Mapping[str, str]], *, build_error: str | None = None) -> None:
        self.images = dict(images)
        self.bases: list[str] = []
        self.timeout = 60
        self._build_error = build_error

    def inspect_image(self, name: str) -> Mapping[str, Any]:
        if name not in self.images:
            raise ImageNotFound("no such image")
        return {"Config": {"Labels": self.images[name]}}

    def pull(self, *_: object, **__: object) -> Iterator[Mapping[str, Any]]:
        raise APIError("no route to the registry")

    def build(self, *, tag: str, buildargs: Mapping[str, str], labels: Mapping[str, str], **_: object) -> Any:
        self.bases.append(buildargs["BASE"])
        if self._build_error:
            return iter([{"stream": "Step 1/2"}, {"error": self._build_error}])
        self.images[tag] = labels
        return iter([{"stream": "Step 1/2"}])


def ensure(engine: Engine) -> None:
    ImageBuilder(cast(APIClient, engine), Report(Console(quiet=True))).ensure()


@pytest.fixture
def wanted() -> str:
    return fingerprint(asset("examples/traffic-flow"))


@pytest.fixture
def without_mmdebstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)


def test_an_image_of_the_same_files_is_not_built_again(wanted: str) -> None:
    engine = Engine({IMAGE: {LABEL: wanted}})
    ensure(engine)
    assert engine.bases == []


def test_an_image_of_other_files_is_built_again(wanted: str) -> None:
    engine = Engine({IMAGE: {LABEL: "older"}, PYTHON_BASE: {}})
    ensure(engine)
    assert engine.bases == [PYTHON_BASE]
    assert engine.images[IMAGE] == {LABEL: wanted}


def test_an_image_that_somebody_built_by_hand_is_theirs() -> None:
    engine = Engine({IMAGE: {}})
    ensure(engine)
    assert engine.bases == []


@pytest.mark.usefixtures("without_mmdebstrap")
def test_every_way_that_failed_is_named() -> None:
    with pytest.raises(ImageUnavailable, match=r"python:3.11-slim can't be pulled.*no route.*mmdebstrap is not"):
        ensure(Engine({}))


@pytest.mark.usefixtures("without_mmdebstrap")
def test_the_engines_own_words_say_why_a_build_failed() -> None:
    with pytest.raises(ImageUnavailable, match="pip could not reach the index"):
        ensure(Engine({PYTHON_BASE: {}}, build_error="pip could not reach the index"))


def test_any_changed_file_of_the_example_makes_another_image(tmp_path: Path, wanted: str) -> None:
    copy = tmp_path / "example"
    shutil.copytree(asset("examples/traffic-flow"), copy)
    assert fingerprint(copy) == wanted
    (copy / "traffic" / "detect.py").write_text("pass\n")
    assert fingerprint(copy) != wanted
