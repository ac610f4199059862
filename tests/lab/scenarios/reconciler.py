"""The reconciler itself: killed, upgraded, in the middle of its stages' runs."""

import time

from tests.lab.lab import UPGRADED, Lab
from tests.lab.scenario import Options, Told, scenario
from tests.lab.waiting import demand, until


@scenario("reconciler-killed", "a killed and upgraded reconciler finds its stage and goes on with it")
def reconciler_killed(lab: Lab, options: Options, told: Told) -> None:
    with lab.site(ttl=options.ttl or 60.0) as site:
        owner = site.begin("flight")
        site.await_counting("flight")
        program = owner.stages("flight")[0]["pid"]
        for release, number in ((lab.release, 2), (lab.upgrade, 3)):
            owner.kill()
            until("the reconciler is gone", lambda: not owner.is_running)
            site.await_counting("flight")
            began = time.monotonic()
            owner.start(release)
            until("it joins again", lambda number=number: owner.joins() == number)  # type: ignore[misc]
            joined = time.monotonic()
            told.time("joined after", joined - began)
            until("it adopts its stage", lambda number=number: _adopted(owner.said()) == number - 1)  # type: ignore[misc]
            told.time("adopted after that", time.monotonic() - joined)
        demand(owner.stages("flight")[0]["pid"] == program, "the program was started anew")
        site.finish("flight")
        demand(site.takeovers("flight") == 0, "it was taken over")
        demand(UPGRADED in str(site.node_records(owner)[-1].versions), "the upgraded release did not run")


def _adopted(said: str) -> int:
    return said.count('"container_adopted"')
