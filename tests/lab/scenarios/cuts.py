"""Nodes that no longer reach the share, git, or one another."""

import time

from tests.lab.lab import Lab
from tests.lab.node import Node
from tests.lab.scenario import Options, Told, scenario
from tests.lab.site import Site
from tests.lab.waiting import demand, throughout, until


def not_taken_over(site: Site, project: str, seconds: float) -> None:
    throughout(seconds, f"{project} was taken over although nobody was dead", lambda: site.takeovers(project) == 0)


def tells_of_the_share(node: Node) -> bool:
    return "ShareUnreachable" in node.conditions()


def cut_one_off(lab: Lab, options: Options, told: Told, *, replies_only: bool) -> None:
    """From the share alone: it answers on its HTTP port, and so it is waited for."""
    ttl = options.ttl or 10.0
    with lab.site(ttl=ttl) as site:
        owner = site.begin("flight")
        site.await_counting("flight")
        with lab.network.without(*lab.from_share(owner, replies_only=replies_only)):
            began = time.monotonic()
            until("the node tells that its share hangs", lambda: tells_of_the_share(owner), within=75.0)
            told.time("told after", time.monotonic() - began)
            not_taken_over(site, "flight", max(began + 75.0 - time.monotonic(), 3 * ttl))
        healed = time.monotonic()
        site.await_counting("flight", within=90.0)
        told.time("counts on after the heal", time.monotonic() - healed)
        site.finish("flight")
        demand(site.takeovers("flight") == 0, "taken over although its node answered")


@scenario("share-one", "a node cut off from the share alone says so, keeps its stage and goes on with it")
def share_one(lab: Lab, options: Options, told: Told) -> None:
    cut_one_off(lab, options, told, replies_only=False)


@scenario("share-replies", "the same where its requests arrive and only the answers are lost")
def share_replies(lab: Lab, options: Options, told: Told) -> None:
    cut_one_off(lab, options, told, replies_only=True)


@scenario("share-all", "the share stalls for 45 s for all nodes: no false takeover", in_short=True)
def share_all(lab: Lab, options: Options, told: Told) -> None:
    with lab.site(ttl=options.ttl or 10.0) as site:
        site.begin("flight")
        site.await_counting("flight")
        with lab.network.without(*lab.from_share(*site.nodes.values())):
            time.sleep(25.0 if options.short else 45.0)
        healed = time.monotonic()
        site.await_counting("flight", within=90.0)
        told.time("counts on after the heal", time.monotonic() - healed)
        not_taken_over(site, "flight", site.ttl if options.short else 3 * site.ttl)
        site.finish("flight")
        told.say(f"{site.takeovers('flight')} takeovers")
        demand(site.takeovers("flight") == 0, "a stall of the share was taken for a dead node")


@scenario("git-all", "without git the stage goes on, and the next one starts; git learns of it afterwards")
def git_all(lab: Lab, options: Options, told: Told) -> None:
    with lab.site(ttl=options.ttl or 10.0) as site:
        site.begin("flight", "counting-twice")
        site.await_counting("flight")
        with lab.network.without(*lab.from_git(*site.nodes.values())):
            began = time.monotonic()
            site.finish("flight")
            owner = site.await_running("flight")
            told.time("next stage after", time.monotonic() - began)
            owner.kill()
            owner.start()
            until("a restart without git adopts the stage", lambda: '"container_adopted"' in owner.said(), within=120.0)
            not_taken_over(site, "flight", 3 * site.ttl)
        healed = time.monotonic()
        published = "projects/flight/runs/0002-again.yaml"
        until("git learns of the second run", lambda: site.observed(published), within=180.0, every=1.0)
        told.time("published after the heal", time.monotonic() - healed)
        site.finish("flight", run=2)


@scenario("isolated", "a node cut off from share, git and others is taken over; healed, it stops its stage; one result")
def isolated(lab: Lab, options: Options, told: Told) -> None:
    ttl = options.ttl or 10.0
    with lab.site(ttl=ttl) as site:
        owner = site.begin("flight")
        site.await_counting("flight")
        began = time.monotonic()
        with lab.network.without(*lab.from_share(owner), *lab.from_git(owner), *lab.from_others(owner)):
            site.await_running("flight", but=owner, within=6 * ttl + 60)
            told.time("elsewhere after", time.monotonic() - began)
            site.await_counting("flight")
        healed = time.monotonic()
        until("the healed node stops its superseded stage", lambda: not owner.stages("flight"), within=90.0)
        told.time("stopped after the heal", time.monotonic() - healed)
        site.finish("flight")
        demand(site.takeovers("flight") == 1, "it was taken over more than once")
