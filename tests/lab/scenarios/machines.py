"""Machines that lose their power, freeze, or have another's name or time."""

import time

from tests.lab.lab import Lab
from tests.lab.node import Node
from tests.lab.scenario import Options, Told, scenario
from tests.lab.waiting import demand, throughout, until

HOUR = 3600.0


def lose_power(lab: Lab, told: Told, *, ttl: float, repeat: int) -> None:
    """Pull the owner's plug, again and again, and measure how long its stage stands still."""
    with lab.site(ttl=ttl) as site:
        for number in range(repeat):
            project = f"flight-{number}"
            owner = site.begin(project)
            site.await_counting(project)
            pulled = time.monotonic()
            owner.machine.power_off()
            site.await_running(project, but=owner, within=6 * ttl + 60)
            told.time("elsewhere after", time.monotonic() - pulled)
            owner.machine.boot()
            owner.start()
            site.finish(project)
            owner.await_joined()
            demand(site.takeovers(project) == 1, f"{project} was taken over {site.takeovers(project)} times, not once")


@scenario("power-loss", "the owner's stage runs elsewhere at most TTL + 10 s later (median; TTL 10 s)", in_short=True)
def power_loss(lab: Lab, options: Options, told: Told) -> None:
    ttl = options.ttl or 10.0
    lose_power(lab, told, ttl=ttl, repeat=options.repeat or (1 if options.short else 5))
    if not options.short:
        demand(told.median("elsewhere after") <= ttl + 10.0, "the median is more than TTL + 10 s")


@scenario("power-loss-60", "the same with the default TTL of 60 s")
def power_loss_60(lab: Lab, options: Options, told: Told) -> None:
    lose_power(lab, told, ttl=60.0, repeat=options.repeat or 3)
    demand(told.median("elsewhere after") <= 70.0, "the median is more than TTL + 10 s")


@scenario("freeze", "a machine frozen for 90 s is taken over; thawed, it stops its stage; one result", in_short=True)
def freeze(lab: Lab, options: Options, told: Told) -> None:
    ttl, frozen = (10.0, 40.0) if options.short else (options.ttl or 60.0, 90.0)
    with lab.site(ttl=ttl) as site:
        owner = site.begin("flight")
        site.await_counting("flight")
        began = time.monotonic()
        owner.machine.freeze()
        site.await_running("flight", but=owner, within=6 * ttl + 60)
        told.time("elsewhere after", time.monotonic() - began)
        time.sleep(max(began + frozen - time.monotonic(), 0.0))
        owner.machine.thaw()
        thawed = time.monotonic()
        until("the thawed machine stops its superseded stage", lambda: not owner.stages("flight"), within=90.0)
        told.time("stopped after the thaw", time.monotonic() - thawed)
        site.finish("flight")
        demand(site.takeovers("flight") == 1, "it was taken over more than once")


@scenario("clock", "clocks an hour off either way: no false takeover, and a true one in time")
def clock(lab: Lab, options: Options, told: Told) -> None:
    ttl = options.ttl or 10.0
    with lab.site(ttl=ttl) as site:
        owner = site.begin("flight")
        one, other = site.others(owner)
        owner.machine.set_clock(HOUR)
        one.machine.set_clock(-HOUR)
        throughout(3 * ttl, "taken over because of a clock", lambda: site.takeovers("flight") == 0)
        other.machine.set_clock(-HOUR)
        one.machine.set_clock(HOUR)
        throughout(3 * ttl, "taken over because of a clock", lambda: site.takeovers("flight") == 0)
        pulled = time.monotonic()
        owner.machine.power_off()
        site.await_running("flight", but=owner, within=6 * ttl + 60)
        told.time("elsewhere after", time.monotonic() - pulled)
        site.finish("flight")


@scenario("clone", "a copy of a machine, name, disk and all, is refused; the original goes on")
def clone(lab: Lab, options: Options, told: Told) -> None:
    with lab.site(ttl=options.ttl or 10.0) as site:
        owner = site.begin("flight")
        site.await_counting("flight")
        machine = site.others(owner)[0].machine
        site.others(owner)[0].kill()
        machine.power_off()
        machine.boot(hostname=owner.name)  # NFS knows clients by it: the server takes both for one machine
        copy = Node(machine, site.place, owner.name)
        machine.ask("write", path=f"{copy.local}/home", text=owner.machine.ask("read", path=f"{owner.local}/home"))
        began = time.monotonic()
        copy.start()
        until("the copy ends", lambda: not copy.is_running, within=90.0)
        told.time("refused after", time.monotonic() - began)
        demand("is alive already" in copy.said(), f"the copy does not say why: {copy.said()[-500:]}")
        demand(not copy.joins(), "the copy published a record before it ended")
        site.await_counting("flight")
        demand(owner.is_running, f"the original has ended: {owner.said()[-500:]}")
        machine.power_off()
        site.finish("flight")
        demand(site.takeovers("flight") == 0, "the original was taken over")
