"""Machines that lose their power, freeze, or have another's name or time."""

import time

from tests.lab.lab import Lab
from tests.lab.scenario import Options, Told, scenario
from tests.lab.site import Node, Site
from tests.lab.waiting import demand


def time_to_elsewhere(site: Site, project: str, owner: Node, since: float, within: float) -> float:
    """Seconds from ``since`` until the project's program runs on another machine."""
    site.await_running(project, but=owner, within=within)
    return time.monotonic() - since


def lose_power(lab: Lab, told: Told, *, ttl: float, repeat: int, what: str) -> None:
    """Pull the owner's plug, again and again, and measure how long its stage stands still."""
    with lab.site(ttl=ttl) as site:
        for number in range(repeat):
            project = f"flight-{number}"
            owner = site.begin(project)
            site.await_counting(project)
            pulled = time.monotonic()
            owner.machine.power_off()
            told.time(what, time_to_elsewhere(site, project, owner, pulled, within=6 * ttl + 60))
            owner.machine.boot()
            owner.start()
            owner.await_joined()
            site.finish(project)
            demand(site.takeovers(project) == 1, f"{project} was taken over {site.takeovers(project)} times, not once")


@scenario("power-loss", "runs elsewhere at most 20 s after its node lost its power (median; TTL 10 s)", in_short=True)
def power_loss(lab: Lab, options: Options, told: Told) -> None:
    ttl, repeat = options.ttl or 10.0, options.repeat or (1 if options.short else 5)
    lose_power(lab, told, ttl=ttl, repeat=repeat, what="elsewhere after")
    if not options.short:
        demand(told.median("elsewhere after") <= ttl + 10.0, f"median {told.text()} is more than TTL + 10 s")


@scenario("power-loss-60", "the same with the default TTL of 60 s: at most 70 s (median)")
def power_loss_60(lab: Lab, options: Options, told: Told) -> None:
    lose_power(lab, told, ttl=60.0, repeat=options.repeat or 3, what="elsewhere after")
    demand(told.median("elsewhere after") <= 70.0, f"median {told.text()} is more than TTL + 10 s")
