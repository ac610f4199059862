"""A node's first and last word on the share: its record when it joins, its claims when it hands its work over."""

import os
import socket
from collections.abc import Sequence

import structlog

from reconciler.agent.inquiries import Ask
from reconciler.agent.inventory import Stocktaking
from reconciler.agent.namesake import next_start
from reconciler.agent.observe import Identity
from reconciler.agent.ports import Clock, Runtime, Share
from reconciler.agent.tokens import new_token
from reconciler.config import NodeConfig
from reconciler.core.containers import Container, ContainerState, claim_key
from reconciler.core.names import NodeName
from reconciler.core.nodes import NodeRecord
from reconciler.core.placement import claims_of
from reconciler.core.records import Released
from reconciler.errors import BadInput, EngineUnavailable, WinslowError

log = structlog.get_logger()


def join(
    identity: Identity,
    config: NodeConfig,
    share: Share,
    stock: Stocktaking,
    clock: Clock,
    ask: Ask,
    *,
    period: float,
) -> None:
    """Publish this start's record. BadInput if another machine has the node's name."""
    uuid = share.identity()
    number = next_start(share, clock, ask, identity, period=period)
    offer = stock.first()
    record = NodeRecord(
        number=number,
        token=new_token(),
        share=uuid,
        node=identity.name,
        at=clock.now(),
        incarnation=identity.incarnation,
        boot=identity.boot,
        home=identity.home,
        runtime=identity.runtime,
        capacity=offer.capacity,
        inventory=offer.inventory,
        labels=config.labels,
        versions=offer.versions,
        pid=os.getpid(),
        health=advertised(config),
    )
    if not share.publish_node(record):
        raise BadInput(f"another reconciler started as '{identity.name}' at this moment; start only one")
    stock.published(record)
    log.info("node_joined", node=identity.name, runtime=identity.runtime, share=uuid)


def advertised(config: NodeConfig) -> str:
    """Where others reach our HTTP port; empty: nowhere. All addresses: under the machine's name."""
    if config.listen is None:
        return ""
    host, _, port = config.listen.rpartition(":")
    usual = f"{socket.gethostname()}:{port}" if host in ("0.0.0.0", "[::]", "[::0]") else config.listen  # noqa: S104
    return config.advertise or (usual if int(port) else "")


def hand_over(name: NodeName, share: Share, runtime: Runtime, clock: Clock) -> None:
    """Release the node's claims, then stop and remove their containers.

    Released first: were it the other way round, a crash in between would look like a failed program. A program that
    has ended already is left for the next start to record, and one of another runtime may go on where we can't stop it.
    """
    ledger = share.read()
    ended = {one.key for one in _found(runtime) if one.state is ContainerState.EXITED}
    released = set()
    for project, run in claims_of(ledger, name):
        if run.claim is None or run.claim.runtime != runtime.name:
            continue
        key = claim_key(project, run, run.claim)
        if key in ended:
            continue
        record = Released(
            number=run.next_number,
            token=new_token(),
            share=ledger.share,
            node=name,
            at=clock.now(),
            reason="Drained",
            message=f"{name} stopped and handed its work over",
            counts=False,
        )
        share.publish_run(project, run.created, record)
        released.add(key)
    for container in _found(runtime):
        if container.key not in released:
            continue
        try:
            runtime.stop(container)
            runtime.remove(container)
        except WinslowError as error:
            log.warning("hand_over_incomplete", container=container.key.slug, error=str(error))


def _found(runtime: Runtime) -> Sequence[Container]:
    """Nothing while the engine is down: what comes back with it is superseded."""
    try:
        return runtime.list()
    except EngineUnavailable as error:
        log.warning("engine_unavailable", error=str(error))
        return ()
