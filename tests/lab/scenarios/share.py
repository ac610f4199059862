"""The server of the share: restarted, full, and drowned in writes."""

import time

from tests.lab.lab import Lab
from tests.lab.scenario import Options, Told, scenario
from tests.lab.scenarios.cuts import not_taken_over
from tests.lab.site import SHARED, Site
from tests.lab.waiting import demand, until

BALLAST = f"{SHARED}/ballast"
FILL = f"""
fallocate -l $(($(df --output=avail -B1 {SHARED} | tail -1) - 4194304)) {BALLAST}
dd if=/dev/zero of={BALLAST}.rest bs=64k 2>/dev/null
dd if=/dev/zero of={BALLAST}.last bs=4k 2>/dev/null
sync
"""

STORM_LOG = "/run/storm.log"
STORM_MOST = 300.0
"""Seconds: a slow machine writes less than it was asked to, and the report says how much."""
WRITE = """
for i in $(seq $1); do
  dd if=/dev/zero of=/mnt/winslow/storm bs=1M count=1024 conv=notrunc
done
"""


@scenario("server-restart", "the NFS server crashes and comes back: no false takeover, no line lost")
def server_restart(lab: Lab, options: Options, told: Told) -> None:
    with lab.site(ttl=options.ttl or 10.0) as site:
        site.begin("flight")
        site.await_counting("flight")
        crashed = time.monotonic()
        lab.server.power_off()
        lab.server.boot()
        told.time("server back after", time.monotonic() - crashed)
        site.await_counting("flight", within=90.0)
        told.time("counts on after", time.monotonic() - crashed)
        not_taken_over(site, "flight", 3 * site.ttl)
        site.finish("flight")
        told.say(f"{site.takeovers('flight')} takeovers")
        demand(site.takeovers("flight") == 0, "a restart of the server was taken for a dead node")


@scenario(
    "share-full", "a full share stops work with a clear condition; nothing is lost, and it goes on once there is room"
)
def share_full(lab: Lab, options: Options, told: Told) -> None:
    long = "." * 5000  # the log must need new blocks: XFS keeps some at a file's end ready
    with lab.site(ttl=options.ttl or 10.0, padding=long) as site:
        owner = site.begin("flight")
        site.await_counting("flight")
        try:
            lab.server.run("sh", "-c", FILL)
            site.write({"projects/late.yaml": {"pipeline": "counting"}})
            asked = time.monotonic()
            until("a node says that the share is full", lambda: _says_full(site), within=120.0)
            told.time("told after", time.monotonic() - asked)
            not_taken_over(site, "flight", 40.0)
            demand(not site.runs("late"), "a run was claimed on a full share")
            demand(owner.is_running, "the reconciler has ended")
        finally:
            lab.server.run("sh", "-c", f"rm -f {BALLAST}*; sync")
        freed = time.monotonic()
        site.await_counting("flight", within=120.0)
        told.time("counts on after room", time.monotonic() - freed)
        site.await_running("late")
        for project in ("flight", "late"):
            site.finish(project)
            demand(site.takeovers(project) == 0, f"{project} was taken over")


def _says_full(site: Site) -> bool:
    return any("the share is full" in text for node in site.nodes.values() for text in node.conditions().values())


@scenario("storm", "10 GB of dirty pages beside the owner's heartbeat: no false takeover")
def storm(lab: Lab, options: Options, told: Told) -> None:
    """A machine with much memory writes through its page cache as fast as it can, over and over one file."""
    machine = lab.machines["n1"]
    machine.power_off()
    machine.boot(memory="1536M")
    with lab.site(ttl=options.ttl or 10.0, join=("n1",)) as site:
        owner = site.begin("flight")
        site.join("n2", "n3")
        machine.run("sysctl", "-w", "vm.dirty_ratio=80", "vm.dirty_background_ratio=60")
        rounds = max(round(options.storm), 1)
        pid = machine.ask("spawn", command=["sh", "-c", WRITE, "storm", str(rounds)], environment={}, log=STORM_LOG)
        began, most, longest = time.monotonic(), 0, 0.0
        beat, beaten = "", began
        while machine.ask("lives", pid=pid, within=STORM_MOST) and time.monotonic() - began < STORM_MOST:
            demand(site.takeovers("flight") == 0, "a storm of dirty pages was taken for a dead node")
            most = max(most, _dirty(machine.ask("read", path="/proc/meminfo", within=STORM_MOST)))
            if (now := site.heartbeat_of(owner)) != beat:
                longest, beat, beaten = max(longest, time.monotonic() - beaten), now, time.monotonic()
            time.sleep(0.5)
        machine.ask("kill", pid=-pid, number=9)  # with the dd that it waits for
        written = machine.ask("read", path=STORM_LOG).count("copied")
        told.say(f"{written} GiB in {time.monotonic() - began:.0f} s, at most {most} MiB dirty at once")
        told.say(f"longest silence of the heartbeat {max(longest, time.monotonic() - beaten):.0f} s")
        site.await_counting("flight", within=120.0)
        not_taken_over(site, "flight", 3 * site.ttl)
        site.finish("flight")
        told.say(f"{site.takeovers('flight')} takeovers")
    lab.server.run("rm", "-f", f"{SHARED}/storm")
    machine.power_off()


def _dirty(meminfo: str) -> int:
    """MiB of pages that wait to be written, or are on their way."""
    found = dict(line.split(":") for line in meminfo.splitlines() if ":" in line)
    return sum(int(found[name].split()[0]) for name in ("Dirty", "Writeback")) // 1024
