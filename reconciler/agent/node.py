"""``Agent``: one node's reconciler, put together. ``tick`` is observe, plan, apply; the loop calls it."""

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from reconciler.agent.apply import Applier
from reconciler.agent.attempt import Attempts
from reconciler.agent.containers import Containers
from reconciler.agent.followers.following import Following
from reconciler.agent.http import OpenClaim
from reconciler.agent.images import NodeImages
from reconciler.agent.inquiries import Ask, Inquiries, nobody_answers
from reconciler.agent.inventory import Stocktaking
from reconciler.agent.joining import hand_over, join
from reconciler.agent.ledger_watch import LedgerWatch
from reconciler.agent.liveness import Liveness
from reconciler.agent.measuring import UNMEASURED, Measured
from reconciler.agent.observe import Ancestry, Identity, Memory, ShareTime, look_at_myself, stopping
from reconciler.agent.patience import Patience
from reconciler.agent.ports import Clock, Fetched, Follower, Host, Observed, Runtime, Seen, Share, Source
from reconciler.agent.publisher import Publisher
from reconciler.agent.stopped import Stopped
from reconciler.agent.workers import Job, Workers
from reconciler.codec.heartbeat import WorksFrom, availability, remarks, troubles
from reconciler.config import NodeConfig
from reconciler.core.containers import Container
from reconciler.core.desired import Desired, Site
from reconciler.core.draft import Plan
from reconciler.core.ledger import Ledger
from reconciler.core.ledger_behind import told
from reconciler.core.names import ProjectName
from reconciler.core.nodes import Availability, Node, Remark
from reconciler.core.placement import claims_of
from reconciler.core.plan import plan
from reconciler.core.report import report
from reconciler.core.status import Condition, condition
from reconciler.core.stored_images import wanted_images
from reconciler.core.supervise import REMARKS
from reconciler.core.takeover import to_ask
from reconciler.core.watchdog import SUSPECT, Watched, is_suspect, overdue
from reconciler.errors import Transient

log = structlog.get_logger()

BEHIND = 120.0
"""Seconds for which our clone may lack what the ledger was written from; a fetch at once usually brings it."""


class Agent:
    """Ports in, behaviour out. Methods block; the loop calls each kind from one thread at a time."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        share: Share,
        source: Source,
        observed: Observed,
        runtime: Runtime,
        host: Host,
        clock: Clock,
        home: str,
        wake: Callable[[], None],
        patience: Patience,
        followers: Sequence[Follower] = (),
        ask: Ask = nobody_answers,
        measured: Measured = UNMEASURED,
    ) -> None:
        self.config = config
        self.identity = Identity(
            name=config.name,
            boot=host.boot(),
            incarnation=secrets.token_hex(8),
            home=home,
            runtime=runtime.name,
        )
        self.patience = patience
        self.measured = measured
        self._share = share
        self._source = source
        self._host = host
        self._runtime = runtime
        self._clock = clock
        self._fetched = Fetched(desired=None)
        self._has_asked = False  # the remote, whatever it said
        self._ancestry = Ancestry(source.descends)
        self._publishers_ancestry = Ancestry(source.descends)  # each for one thread
        self._memory = Memory()
        self._share_time = ShareTime(share, clock)
        self._watch = LedgerWatch(observed, clock)
        self._wake = wake
        self._workers = Workers(on_end=wake)
        self._containers = Containers(runtime, clock)
        self._stock = Stocktaking(config, share=share, host=host, runtime=runtime, clock=clock, held=self._held_gpus)
        self._stopped = Stopped(config.local)
        self._images = NodeImages(runtime.images, share, clock, config)
        self._attempts = Attempts(
            config, share, runtime, self._containers, clock, self._stock, self._stopped, self._images, measured
        )
        self._applier = Applier(
            share, runtime, self._containers, self._attempts, self._workers, clock, self._stopped, self._images
        )
        self._ask = ask
        self._inquiries = Inquiries(ask, clock)
        self._liveness = Liveness(
            share, clock, patience, config.name, self.identity.incarnation, lambda: self._stock.record
        )
        self._publisher = Publisher(share, observed, clock, self.look)
        self.following = tuple(Following(follower, self._publisher) for follower in followers)
        self._ledger: Ledger | None = None
        self._share_error = ""
        self._older_since: float | None = None
        self.ledger_changes = 0  # how often a tick found the ledger changed, by whomever
        self.last_plan = Plan()
        self.last_tick: float | None = None

    # --- start and end ---

    def join(self) -> None:
        """Say on the share that this node is here, after making sure that no other machine has its name."""
        period = self.site().heartbeat.total_seconds()
        join(self.identity, self.config, self._share, self._stock, self._clock, self._ask, period=period)
        self.beat()

    def leave(self) -> None:
        """Stop taking part. What runs goes on; the next start adopts it."""
        self._publisher.close()
        self._liveness.close()

    def hand_over(self) -> None:
        """Release our claims, then stop and remove our containers: any node may start those stages again."""
        if self._watch.lacking:
            raise Transient(f"{self.config.name} has ended and handed nothing over: {told(self._watch.lacking)}")
        hand_over(self.config.name, self._share, self._runtime, self._clock)

    def leftovers(self) -> frozenset[Path]:
        """What this node's earlier starts left on the share when they were killed."""
        return self._share.leftovers(self.identity.name, self.identity.incarnation)

    def remove_leftovers(self, found: frozenset[Path]) -> int:
        return self._share.remove_leftovers(found)

    # --- the parts of the loop, each called from its own thread ---

    def fetch(self) -> bool:
        """Look at the remote; True if there is a new desired commit.

        A remote that hangs takes half a minute to fail. So that what runs is looked after meanwhile, the first call
        begins with what the clone holds; nothing new is claimed or told from that.
        """
        is_first = not self._has_asked
        if is_first:
            self._fetched = self._source.known()
            self._wake()
        before, began = self._fetched.desired, self._clock.monotonic()
        found = self._source.fetch(self._ledger.site if self._ledger is not None else ())
        self._watch.fetch()  # before anybody may act on what was found
        if found.error and found.error != self._fetched.error:
            log.warning("source_fault", reason=found.reason, error=found.error)
        self._fetched = found if found.error else replace(found, asked=began)
        self._has_asked = True
        return found.desired is not None and (is_first or before is None or found.desired.commit != before.commit)

    def beat(self) -> None:
        """Our heartbeat, and a look at everybody else's; who has grown silent is asked."""
        period = self.site().heartbeat.total_seconds()
        said = troubles(self.conditions(), self._applier.faults)
        fetched = self._fetched
        base = WorksFrom(fetched.desired.commit, fetched.followed).facts() if fetched.desired is not None else {}
        told = remarks(self._remarks())
        mine: dict[str, object] = {"node": self.config.name, "pid": os.getpid(), "every": period}
        free = availability(self._availability())
        self._liveness.beat({**mine, **base, **free, **said, **told}, period)
        self._inquiries.begin(self._silent(self._liveness.nodes()))

    def tick(self) -> bool:
        """Observe, plan, apply once; True if another tick should follow at once."""
        fetched = self._fetched
        desired = fetched.desired
        if desired is None:
            return False
        noted = self._watch.noted
        try:
            ledger = self._share.read()
            self._share_error = ""
        except Transient as error:
            if str(error) != self._share_error:
                log.warning("share_unavailable", error=str(error))
            self._share_error = str(error)
            return False
        if ledger != self._ledger:
            self.ledger_changes += 1
        self._ledger = ledger
        me = look_at_myself(
            self.identity,
            self._clock,
            self._containers,
            jobs=self._workers.busy(),
            contained=self._ancestry.of(desired.commit, ledger, followed=fetched.followed),
            memory=self._memory,
            may_claim=self._has_asked and not self._liveness.error,
            source_asked=fetched.asked,
            share_time=self._share_time.look(ledger),
            lacking=self._watch.compare(ledger, noted),
            ledger=ledger,
        )
        self._look_at_images(desired, ledger)
        todo = plan(desired, ledger, self._nodes(), self._images.shown_to(me))
        self._memory.keep(todo.situations, me.monotonic)
        self._older_since = (self._older_since or me.monotonic) if self._ancestry.is_older else None
        self.last_plan = todo
        changed = self._applier.apply_all(todo.actions)
        self.last_tick = self._clock.monotonic()
        return changed

    def _look_at_images(self, desired: Desired, ledger: Ledger) -> None:
        if self._images.is_look_due:
            wanted = wanted_images(desired, ledger)
            self._workers.start(Job("images", ProjectName(""), ""), lambda: self._images.look(wanted))

    def take_stock(self) -> bool:
        """Look at what the machine has; True if others were told of a change."""
        return self._stock.renew(is_forgotten=self._liveness.is_forgotten)

    def _held_gpus(self) -> frozenset[str]:
        """By stages, as of the last look at the engine and the ledger."""
        claims = claims_of(self._ledger, self.config.name) if self._ledger is not None else []
        claimed = [run.claim.gpus for _, run in claims if run.claim is not None]
        return frozenset(uuid for held in (*claimed, *self._containers.held().values()) for uuid in held)

    def publish(self) -> bool:
        return self._publisher.publish()

    def watch(self) -> None:
        """Stop what must not go on while the share hangs, and the tick with it: needs the engine alone."""
        if self._ledger is None:
            return
        found = self._containers.snapshot()
        watched = Watched(
            node=self.config.name,
            containers=found,
            ran_for=self._containers.ran_for(found),
            stopping=stopping(self._workers.busy()),
            given_up=frozenset(one.key for one in found if self._stopped.why(one.key) == SUSPECT),
            unheard_for=self.patience.unheard_for,
            site=self.site(),
        )
        for action in overdue(self._ledger, watched):
            self._applier.apply(action)

    def look_at_engine(self) -> None:
        """Somebody says that something happened to our containers: ask the engine at once. Any thread."""
        self._containers.forget_listing()
        self._wake()

    # --- what others ask ---

    def containers(self) -> tuple[Container, ...]:
        """Those of this node as last known, without asking the engine."""
        return self._containers.known()

    @property
    def is_behind(self) -> bool:
        """Was the ledger written from a commit that we don't have, or not yet?"""
        return self._ancestry.is_behind

    def _nodes(self) -> tuple[Node, ...]:
        """All nodes as we hear them, and as the silent ones answer; ourselves as we know better."""
        mine, heard = self.identity.name, self._liveness.nodes()
        nodes = tuple(self._stock.at_first_hand(node) if node.name == mine else node for node in heard)
        return self._inquiries.told(nodes, self._silent(nodes))

    def _silent(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        if self._ledger is None:
            return ()
        return to_ask(self._ledger, nodes, self.site(), me=self.identity.name, boot=self.identity.boot)

    @property
    def superseded(self) -> str:
        return self._liveness.superseded

    def site(self) -> Site:
        """The site's settings as far as they are known."""
        return self._fetched.desired.site if self._fetched.desired else Site()

    def desired(self) -> Desired | None:
        return self._fetched.desired

    def claims(self) -> tuple[OpenClaim, ...]:
        """What this node acts on, as of the last tick; nothing once another reconciler has its name."""
        if self._ledger is None or self.superseded:
            return ()
        unheard_for, site = self.patience.unheard_for, self.site()
        return tuple(
            OpenClaim(project=project, run=run.number, number=run.claim.number, token=run.claim.token)
            for project, run in claims_of(self._ledger, self.config.name)
            if run.claim is not None and not is_suspect(run, unheard_for, site)
        )

    def conditions(self) -> tuple[Condition, ...]:
        """What keeps this node from working as it should."""
        found = []
        if self._fetched.error:
            found.append(condition(self._fetched.reason or "SourceUnreachable", self._fetched.error))
        if self._older_since is not None and self._clock.monotonic() - self._older_since > BEHIND:
            found.append(condition("SourceBehind", self._what_is_missing()))
        if self._watch.message:
            found.append(condition("LedgerBehind", self._watch.message))
        if share_error := self._share_error or self._liveness.error or self._applier.share_error:
            found.append(condition("ShareUnavailable", share_error))
        found += self.patience.conditions(self.site().heartbeat)
        if self._containers.engine_error:
            found.append(condition("EngineUnavailable", self._containers.engine_error))
        if self._applier.files_left:
            found.append(condition("FilesLeft", self._applier.files_left))
        found += self._images.conditions
        if self._publisher.error:
            found.append(condition("PublishFailing", self._publisher.error))
        found += self.measured.conditions()
        found += self._stock.gpus.conditions
        return (*found, *(one for following in self.following for one in following.conditions))

    def _availability(self) -> Availability:
        stock = self._stock
        return Availability(
            busy=stock.gpus.busy, images=self._images.marks, load=stock.load, reserved=self.last_plan.reserved
        )

    def _remarks(self) -> dict[ProjectName, Remark]:
        waiting = self.last_plan.waiting.items()
        now = self._images.pulled_so_far
        return {name: Remark(one.because, one.message, now(name)) for name, one in waiting if one.because in REMARKS}

    def _what_is_missing(self) -> str:
        named = ", ".join(sorted(commit[:12] for commit in self._ancestry.missing)[:3]) or "an accepted rewrite"
        return (
            f"the ledger was written from commits that this node can't fetch ({named}); while all nodes lack them "
            "nobody publishes. If somebody has pushed over them: winslow accept-rewrite"
        )

    def look(self) -> Seen | None:
        """What the publisher folds: read from the ledger now. None while others have a newer view of main, or the
        ledger is older than what was published of it."""
        fetched = self._fetched
        desired = fetched.desired
        if desired is None or not self._has_asked or self._watch.lacking:
            return None
        ledger, nodes = self._share.read(), self._nodes()
        self._publishers_ancestry.of(desired.commit, ledger, followed=fetched.followed)
        if self._publishers_ancestry.is_older:
            return None
        conditions = tuple(c for c in self.conditions() if c.type == "SourceRewritten")
        status = report(desired, ledger, nodes, branch=self.config.branch, conditions=conditions)
        return Seen(desired=desired, ledger=ledger, status=status)
