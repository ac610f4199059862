"""A node's optional HTTP port: is it well, its numbers, and a hook that wakes it.

``listen`` in node.yaml opens it. GET /healthz and /metrics only report what the loop last knew, so they answer
while the share or the remote hangs. POST /hook believes nothing of what it is sent: it proves that the sender
knows the token, and then the loop looks at git itself.
"""

import asyncio
import errno
import hashlib
import hmac
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Protocol

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.agent.gauges import Gauge
from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, Token
from reconciler.core.status import Condition
from reconciler.errors import BadInput

MAX_BODY = 1024 * 1024
FRESH = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenClaim:
    """A run that this node acts on: others ask for its token before they take it over."""

    project: ProjectName
    run: RunNumber
    number: RecordNumber
    token: Token


class NodeHealth(Protocol):
    """What the loop last knew. Answers at once and never asks the share, git or the engine."""

    @property
    def node(self) -> NodeName: ...

    @property
    def incarnation(self) -> str: ...

    def ok(self) -> bool:
        """False once the loop has stalled."""
        ...

    def since_last_tick(self) -> float | None:
        """Seconds; None before the first tick."""
        ...

    def conditions(self) -> Sequence[Condition]: ...

    def claims(self) -> Sequence[OpenClaim]: ...

    def numbers(self) -> Mapping[str, float]:
        """More gauges for /metrics: a name as in ``winslow_<name>`` and its value."""
        ...

    def gauges(self) -> Iterable[Gauge]:
        """What was measured last."""
        ...


def node_app(health: NodeHealth, wake: Callable[[], None], hook_token: str | None) -> Starlette:
    """The routes of one node. Without a token there is no /hook."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(health))

    async def healthz(request: Request) -> Response:
        return JSONResponse(report(health), status_code=200 if health.ok() else 503, headers=FRESH)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), headers={**FRESH, "Content-Type": CONTENT_TYPE_LATEST})

    routes = [Route("/healthz", healthz, methods=["GET"]), Route("/metrics", metrics, methods=["GET"])]
    if hook_token:
        routes.append(Route("/hook", hook(hook_token, wake), methods=["POST"]))
    return Starlette(routes=routes)


def report(health: NodeHealth) -> dict[str, object]:
    since = health.since_last_tick()
    return {
        "node": health.node,
        "incarnation": health.incarnation,
        "ok": health.ok(),
        "last_tick": None if since is None else round(since, 3),
        "conditions": [asdict(found) for found in health.conditions()],
        "claims": [asdict(claim) for claim in health.claims()],
    }


class NodeCollector(Collector):
    """Reads the numbers when they are asked for, so that nothing has to be kept up to date."""

    def __init__(self, health: NodeHealth) -> None:
        self._health = health

    def collect(self) -> Sequence[GaugeMetricFamily]:
        health = self._health
        labels = {"node": health.node, "incarnation": health.incarnation}
        up = GaugeMetricFamily("winslow_node_ok", "1 while the node's loop turns", labels=list(labels))
        up.add_metric(list(labels.values()), float(health.ok()))
        conditions = GaugeMetricFamily(
            "winslow_condition", "1 for each condition that holds", labels=["type", "reason"]
        )
        for kind, reason in sorted({(c.type, c.reason) for c in health.conditions() if c.status == "True"}):
            conditions.add_metric([kind, reason], 1.0)
        found = [up, conditions]
        if (since := health.since_last_tick()) is not None:
            found.append(GaugeMetricFamily("winslow_last_tick_seconds", "Seconds since the last tick", value=since))
        numbers = [
            GaugeMetricFamily(f"winslow_{name}", name.replace("_", " "), value=value)
            for name, value in sorted(health.numbers().items())
        ]
        return [*found, *numbers, *families(health.gauges())]


def families(gauges: Iterable[Gauge]) -> Sequence[GaugeMetricFamily]:
    """One for each name, as the format asks."""
    found: dict[str, GaugeMetricFamily] = {}
    for one in gauges:
        family = found.setdefault(
            one.name, GaugeMetricFamily(f"winslow_{one.name}", one.help, labels=tuple(one.labels))
        )
        family.add_metric(tuple(one.labels.values()), one.value)
    return tuple(found.values())


def hook(token: str, wake: Callable[[], None]) -> Callable[[Request], Awaitable[Response]]:
    async def accept(request: Request) -> Response:
        body = await read_at_most(request, MAX_BODY)
        if body is None:
            return JSONResponse({"error": f"the body is larger than {MAX_BODY} bytes"}, status_code=413)
        if not is_authorised(request.headers, body, token):
            message = (
                "wrong or missing token: send Authorization: Bearer <token>, X-Gitlab-Token or X-Hub-Signature-256"
            )
            return JSONResponse({"error": message}, status_code=401, headers={"WWW-Authenticate": "Bearer"})
        wake()
        return JSONResponse({"looking": True}, status_code=202)

    return accept


async def read_at_most(request: Request, limit: int) -> bytes | None:
    """The body, or None as soon as it proves to be larger."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return None
    return body


def is_authorised(headers: Mapping[str, str], body: bytes, token: str) -> bool:
    """GitHub signs the body with the token, GitLab sends it, everybody else sends it as a bearer's. Constant time."""
    signature = "sha256=" + hmac.new(token.encode(), body, hashlib.sha256).hexdigest()
    offered = [
        (headers.get("authorization", ""), f"Bearer {token}"),
        (headers.get("x-gitlab-token", ""), token),
        (headers.get("x-hub-signature-256", ""), signature),
    ]
    return any(hmac.compare_digest(given.encode(), wanted.encode()) for given, wanted in offered)


class Server(uvicorn.Server):
    """Leaves the process's signals to the node."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: Starlette, listen: str, stop: asyncio.Event) -> None:
    """Answer on ``host:port`` until ``stop`` is set. BadInput when that can't be listened on."""
    listener = bind(listen)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
    server = Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving
        listener.close()


def bind(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise BadInput(f"listen: {listen!r} is not an address; write host:port in node.yaml, e.g. 127.0.0.1:9100")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        raise BadInput(f"listen: {listen} {why(error)} in node.yaml") from error


def why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "is in use by another program; choose another port"
        case errno.EACCES:
            return "is not for ordinary users; choose a port above 1023"
        case errno.EADDRNOTAVAIL | socket.EAI_NONAME:
            return "is not an address of this machine; choose 127.0.0.1 or one of its own"
        case _:
            return f"can't be listened on ({error.strerror}); choose another address"
