"""What goes wrong, drawn from the seed: each fault begins at some moment, and is over after some seconds."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from reconciler.core.containers import ClaimKey
from reconciler.core.names import run_directory
from tests.simulation.engine import KILLED, TERMINATED, UNSEEN
from tests.simulation.machine import Machine

if TYPE_CHECKING:
    from tests.simulation.history import Site

Healing = Callable[[], None]


class Faults:
    """Each method begins a fault and returns what ends it. All that is under way when ``heal`` comes ends then."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._chance = site.chance
        self._healing: list[Healing] = []
        self._cut_off: set[Machine] = set()

    def plan(self) -> None:
        kinds = self._site.setting.kinds or (*self.OF_ONE, *self.OF_ALL)
        for _ in range(self._site.setting.faults):
            kind = self._chance.choice(kinds)
            moment = self._chance.uniform(1, self._site.setting.trouble)
            self._site.tasks.after(moment, partial(self._begin, kind))

    def heal(self) -> None:
        self._site.story.tell(self._site.tasks.now(), "", "everything heals")
        for healing in list(self._healing):
            self._end(healing)
        for machine in self._site.facts.machines:
            if machine.name == machine.node and not machine.is_on:
                machine.power_on()

    def _begin(self, kind: str) -> None:
        if kind in self.OF_ONE:
            machine = self._chance.choice(self._site.facts.machines)
            if not machine.is_on or machine.life.frozen:
                return
            healing = getattr(self, kind)(machine)
        else:
            self._tell(kind.replace("_", " "))
            healing = getattr(self, kind)()
        if healing is None:
            return
        self._healing.append(healing)
        length = self._chance.choice((2.0, 8.0, 20.0, 60.0)) * self._chance.uniform(0.5, 1.5)
        self._site.tasks.after(length, lambda: self._end(healing))

    def _end(self, healing: Healing) -> None:
        if healing in self._healing:
            self._healing.remove(healing)
            healing()

    def _tell(self, what: str) -> None:
        self._site.story.tell(self._site.tasks.now(), "", what)

    # --- of one machine ---

    def kill(self, machine: Machine) -> Healing:
        machine.kill_reconciler()
        return machine.start_reconciler

    def lose_power(self, machine: Machine) -> Healing:
        machine.lose_power(removing=self._chance.random() < 0.5)
        self._judge_health()
        return lambda: self.power_on(machine)

    def power_on(self, machine: Machine) -> None:
        """Also for the first time: from then on it hears others."""
        if not machine.is_on and machine.name == machine.node:  # a copy stays where it was thrown
            machine.power_on()
            self._cut_off.discard(machine)  # its new mount finds another way
            self._judge_health()

    def freeze(self, machine: Machine) -> Healing:
        machine.freeze()
        self._judge_health()
        return lambda: self._thaw(machine)

    def _thaw(self, machine: Machine) -> None:
        machine.thaw()
        self._judge_health()

    def jump(self, machine: Machine) -> None:
        seconds = self._chance.choice((-3600.0, -30.0, 30.0, 3600.0))
        machine.tell(f"its clock jumps by {seconds:.0f} s")
        machine.clock.jump(seconds)

    def lose_engine(self, machine: Machine) -> Healing:
        machine.tell("its engine does not answer")
        machine.engine.answers = False
        return lambda: self._engine_answers(machine)

    def restart_engine(self, machine: Machine) -> Healing:
        """Without live-restore: its containers end, in order or not."""
        machine.tell("its engine is restarted, and its containers end")
        machine.engine.answers = False
        machine.engine.finish_all(self._chance.choice((TERMINATED, KILLED, UNSEEN)))
        return lambda: self._engine_answers(machine)

    def _engine_answers(self, machine: Machine) -> None:
        machine.tell("its engine answers")
        machine.engine.answers = True

    def kill_container(self, machine: Machine) -> None:
        """By hand: by a signal, or with ``docker rm -f``."""
        for key in list(machine.engine.live())[:1]:
            if self._chance.random() < 0.5 or not self._start_is_noted(key):
                machine.engine.finish(key, KILLED)
            else:
                machine.tell(f"somebody removes {key.slug}")
                machine.engine.forget(key)

    def _start_is_noted(self, key: ClaimKey) -> bool:
        """Not promised: a container that is removed before the share has its start noted is started once more."""
        claim = f"projects/{key.project}/runs/{run_directory(key.run, key.stage)}/{key.number}"
        return self._site.server.content(f"{claim}/events.jsonl") is not None

    def lose_git(self, machine: Machine) -> Healing:
        machine.tell("is cut off from git")
        self._site.remote.cut.add(machine.life)
        return lambda: self._find_git(machine)

    def _find_git(self, machine: Machine) -> None:
        machine.tell("reaches git")
        self._site.remote.cut.discard(machine.life)

    def clone(self, machine: Machine) -> Healing:
        """Somebody starts a copy of this machine's disk."""
        name = f"{machine.node}-clone{len(self._site.facts.machines)}"
        copy = self._site.add_machine(name, node=machine.node)
        copy.power_on()
        return lambda: self._switch_off(copy)

    def _switch_off(self, copy: Machine) -> None:
        copy.lose_power(removing=True)

    def lose_share(self, machine: Machine) -> Healing:
        direction = self._chance.choice(("both", "both", "in", "out"))
        machine.tell(
            {"both": "loses the share", "in": "hears no replies of the share", "out": "asks the share in vain"}[
                direction
            ]
        )
        return self._cut([machine], direction)

    def lossy_share(self, machine: Machine) -> Healing:
        machine.tell("gets errors for what may have happened on the share")
        mount = machine.mount.now
        mount.lossy = self._chance.choice((0.02, 0.1, 0.3))
        return lambda: setattr(mount, "lossy", 0.0)

    def stale_share(self, machine: Machine) -> Healing:
        machine.tell("gets ESTALE from the share")
        mount = machine.mount.now
        mount.stale = True
        return lambda: setattr(mount, "stale", False)

    # --- of all ---

    def share_cut_off(self) -> Healing:
        return self._cut(list(self._site.facts.machines), "both")

    def share_restarts(self) -> Healing:
        self._site.server.crash()
        self._judge_health()
        return self._share_is_back

    def _share_is_back(self) -> None:
        self._tell("the share is back")
        self._site.server.restart()
        self._judge_health()

    def share_is_full(self) -> Healing:
        self._site.server.full = self._chance.choice((errno.ENOSPC, errno.EDQUOT))
        return lambda: setattr(self._site.server, "full", 0)

    def share_is_read_only(self) -> Healing:
        self._site.server.read_only = True
        return lambda: setattr(self._site.server, "read_only", False)

    def _cut(self, machines: Sequence[Machine], direction: str) -> Healing:
        """Who is off, or has not begun yet, finds another way once it boots: that is a new mount."""
        mounts = {machine: machine.mount.now for machine in machines if machine.is_on}
        for machine, mount in mounts.items():
            mount.cut(direction)
            self._cut_off.add(machine)
        self._judge_health()

        def heal() -> None:
            for machine, mount in mounts.items():
                machine.tell("reaches the share")
                mount.heal()
                self._cut_off.discard(machine)
            self._judge_health()

        return heal

    def git_down(self) -> Healing:
        self._site.remote.down = True
        return self._git_up

    def _git_up(self) -> None:
        self._tell("git is back")
        self._site.remote.down = False

    def git_loses_replies(self) -> Healing:
        self._site.remote.losing_replies = True
        return self._git_replies

    def _git_replies(self) -> None:
        self._site.remote.losing_replies = False

    # --- who could hear others ---

    def _judge_health(self) -> None:
        """A node hears others while its machine runs and reaches the share."""
        for machine, meter in self._site.facts.meters.items():
            reaches = machine not in self._cut_off and not self._site.server.is_down
            meter.turn(on=machine.is_on and not machine.life.frozen and reaches)

    OF_ONE = (
        "kill",
        "lose_power",
        "freeze",
        "jump",
        "lose_engine",
        "restart_engine",
        "kill_container",
        "lose_git",
        "clone",
        "lose_share",
        "lose_share",
        "lossy_share",
        "stale_share",
    )
    OF_ALL = (
        "git_down",
        "git_loses_replies",
        "share_cut_off",
        "share_restarts",
        "share_is_full",
        "share_is_read_only",
    )
