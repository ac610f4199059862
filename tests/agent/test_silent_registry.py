"""A claim whose image can't be had because its registry is silent: it waits a while, then others get their chance."""

from reconciler.agent.attempt import REGISTRY_PATIENCE
from reconciler.core.records import Claim, Done, Released
from reconciler.errors import RegistryUnavailable
from tests.fakes.build import a_pipeline, a_project, a_stage
from tests.fakes.images import FakeImages
from tests.fakes.lab import Lab
from tests.fakes.runtime import FakeRuntime

SILENT = RegistryUnavailable("registry x does not answer this node", after=30.0)


class Pulling(FakeImages):
    """Knows which image a tag is, and has to pull it from a registry that may be silent by then."""

    is_silent = False

    def provide(self, *asked: object, **more: object) -> object:  # type: ignore[override]
        if self.is_silent:
            raise SILENT
        return super().provide(*asked, **more)  # type: ignore[arg-type]


def node_with_images(lab: Lab, name: str, *, is_silent: bool) -> Pulling:
    runtime, images = FakeRuntime(), Pulling()
    images.is_silent = is_silent
    runtime.images = images
    lab.join(name, runtime=runtime)
    return images


def until_given_back(lab: Lab) -> float:
    """Seconds that its claim waited; the clock goes faster than by itself."""
    lab.until(lambda: kinds(lab) == [Claim])
    began = lab.clock.seconds

    def is_given_back() -> bool:
        lab.clock.seconds += 10.0
        return kinds(lab)[:2] == [Claim, Released]

    lab.until(is_given_back)
    return lab.clock.seconds - began


def kinds(lab: Lab) -> list[type]:
    run = lab.run(1)
    return [type(record) for record in run.records] if run else []


def test_a_claim_whose_registry_stays_silent_is_given_back_and_tried_again(lab: Lab) -> None:
    """Nothing was tried, so no attempt is used, and what the registry said is recorded."""
    images = node_with_images(lab, "a", is_silent=True)
    lab.write(a_project(), pipeline=a_pipeline(a_stage()))
    assert until_given_back(lab) >= REGISTRY_PATIENCE
    run = lab.run(1)
    assert run is not None
    released = run.records[1]
    assert isinstance(released, Released)
    assert (released.reason, released.message, released.counts) == ("RegistryUnavailable", str(SILENT), False)
    images.is_silent = False
    lab.until(lambda: lab.phases() == ["Succeeded"])


def test_a_short_silence_costs_a_claim_nothing(lab: Lab) -> None:
    images = node_with_images(lab, "a", is_silent=True)
    lab.write(a_project(), pipeline=a_pipeline(a_stage()))
    lab.until(lambda: kinds(lab) == [Claim])
    lab.turn()
    images.is_silent = False
    lab.until(lambda: lab.phases() == ["Succeeded"])
    assert kinds(lab) == [Claim, Done]


def test_another_node_that_has_the_image_takes_the_run(lab: Lab) -> None:
    """Whichever was the first to claim it."""
    node_with_images(lab, "a", is_silent=True)
    lab.write(a_project(), pipeline=a_pipeline(a_stage()))
    lab.until(lambda: kinds(lab) == [Claim])
    node_with_images(lab, "b", is_silent=False)
    until_given_back(lab)
    lab.until(lambda: lab.phases() == ["Succeeded"])
    run = lab.run(1)
    assert run is not None
    assert [record.node for record in run.records] == ["a", "a", "b", "b"]
