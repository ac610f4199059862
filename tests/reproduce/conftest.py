"""Agents on a real share with fakes around."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.core.desired import Next, Stage, Workspace
from reconciler.core.ledger import Run
from tests.fakes.build import a_pipeline, a_project, a_stage
from tests.fakes.lab import Lab
from tests.fakes.runtime import FakeRuntime


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    SharedDirectory.create(tmp_path / "share")
    found = Lab(tmp_path / "share", tmp_path)
    yield found
    found.close()


def skipping(name: str, **fields: Any) -> Stage:
    return a_stage(name, skip_unchanged=True, **fields)


DETECT = skipping("detect", workspace=Workspace.FRESH)
"""Depends on its inputs alone, so it may be skipped although the stage before it ran again."""


@dataclass
class Bench:
    """One project with one video; node ``a`` runs plain processes."""

    lab: Lab
    stages: tuple[Stage, ...] = (a_stage("look"), DETECT)

    @property
    def video(self) -> Path:
        return self.lab.root / "resources" / "a.mp4"

    @property
    def runtime(self) -> FakeRuntime:
        return self.lab.runtimes["a"]

    def begin(self) -> None:
        self.video.write_text("frames")
        self.lab.join("a", runtime=FakeRuntime(name="process"))
        self.ask()

    def ask(self, request: Next | None = None, **fields: Any) -> None:
        project = a_project(next=request, **{"inputs": ("resources/a.mp4",), **fields})
        self.lab.write(project, pipeline=a_pipeline(*self.stages))

    def ended(self, number: int) -> Run:
        """Run ``number``, once it has ended."""
        self.lab.until(lambda: (run := self.lab.run(number)) is not None and run.is_final, f"the end of run {number}")
        run = self.lab.run(number)
        assert run is not None
        return run

    def claim(self, run: Run) -> Path:
        """The directory of its accepted claim."""
        assert run.last_claim is not None
        directory = f"{run.number:04d}-{run.stage}"
        return self.lab.root / "projects" / "crossing" / "runs" / directory / str(run.last_claim.number)

    def started(self) -> list[int]:
        return [order.key.run for order in self.runtime.orders]


@pytest.fixture
def bench(lab: Lab) -> Bench:
    return Bench(lab)
