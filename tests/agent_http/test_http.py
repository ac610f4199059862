"""A node's HTTP port: what it reports, who may wake it, and where it can't listen."""

import asyncio
import hashlib
import hmac
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from reconciler.agent.gauges import Gauge
from reconciler.agent.http import NodeHealth, OpenClaim, node_app, serve
from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, Token
from reconciler.core.status import Condition
from reconciler.errors import BadInput

TOKEN = "open sesame"
NODE = NodeName("node-1")


@dataclass
class Health:
    """A node that says what a test wants it to say."""

    node: NodeName = NODE
    incarnation: str = "1f2e"
    turning: bool = True
    last_tick: float | None = 0.25
    woken: list[str] = field(default_factory=list)

    def ok(self) -> bool:
        return self.turning

    def since_last_tick(self) -> float | None:
        return self.last_tick

    def conditions(self) -> Sequence[Condition]:
        return [Condition(type="SourceUnreachable", status="True", reason="SourceUnreachable", message='no "route"\n')]

    def claims(self) -> Sequence[OpenClaim]:
        claim = OpenClaim(project=ProjectName("ulm"), run=RunNumber(4), number=RecordNumber(1), token=Token("c0ffee"))
        return [claim]

    def numbers(self) -> dict[str, float]:
        return {"claims": 1.0, "running_stages": 2.0}

    def gauges(self) -> Sequence[Gauge]:
        gpus = [("GPU-a", 0.5), ("GPU-b", 0.25)]
        return [Gauge(name="gpu_utilisation_ratio", help="busy", value=v, labels={"uuid": u}) for u, v in gpus]


def ask(
    method: str,
    path: str,
    health: Health | None = None,
    *,
    token: str | None = TOKEN,
    headers: dict[str, str] | None = None,
    content: bytes | AsyncIterator[bytes] | None = None,
) -> httpx.Response:
    health = health or Health()
    speaks: NodeHealth = health
    app = node_app(speaks, lambda: health.woken.append("woken"), token)

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.request(method, path, headers=headers, content=content)

    return asyncio.run(request())


def test_a_healthy_node_says_what_it_holds() -> None:
    answer = ask("GET", "/healthz")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "node": "node-1",
        "incarnation": "1f2e",
        "ok": True,
        "last_tick": 0.25,
        "conditions": [
            {
                "type": "SourceUnreachable",
                "status": "True",
                "reason": "SourceUnreachable",
                "message": 'no "route"\n',
            }
        ],
        "claims": [{"project": "ulm", "run": 4, "number": 1, "token": "c0ffee"}],
    }


def test_a_stalled_loop_is_a_503_that_still_names_the_claims() -> None:
    answer = ask("GET", "/healthz", Health(turning=False, last_tick=None))
    assert answer.status_code == 503
    assert (answer.json()["ok"], answer.json()["last_tick"]) == (False, None)
    assert answer.json()["claims"][0]["token"] == "c0ffee"


def test_metrics_are_prometheus_text() -> None:
    answer = ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'winslow_node_ok{incarnation="1f2e",node="node-1"} 1.0' in lines
    assert "winslow_claims 1.0" in lines
    assert "winslow_last_tick_seconds 0.25" in lines
    assert "winslow_running_stages 2.0" in lines
    assert 'winslow_gpu_utilisation_ratio{uuid="GPU-a"} 0.5' in lines
    assert 'winslow_gpu_utilisation_ratio{uuid="GPU-b"} 0.25' in lines
    assert 'winslow_condition{reason="SourceUnreachable",type="SourceUnreachable"} 1.0' in lines
    assert "c0ffee" not in answer.text
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_two_nodes_in_one_process_keep_their_numbers_apart() -> None:
    assert 'node="a"' in ask("GET", "/metrics", Health(node=NodeName("a"))).text
    assert 'node="a"' not in ask("GET", "/metrics", Health(node=NodeName("b"))).text


def signed(body: bytes, token: str = TOKEN) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(token.encode(), body, hashlib.sha256).hexdigest()}


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {TOKEN}"}, {"X-Gitlab-Token": TOKEN}, signed(b'{"ref": "main"}')]
)
def test_who_knows_the_token_wakes_the_loop(headers: dict[str, str]) -> None:
    health = Health()
    answer = ask("POST", "/hook", health, headers=headers, content=b'{"ref": "main"}')
    assert (answer.status_code, health.woken) == (202, ["woken"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer "},
        {"X-Gitlab-Token": ""},
        {"X-Gitlab-Token": "wörng"},
        signed(b"another body"),
        signed(b'{"ref": "main"}', "another token"),
    ],
)
def test_who_does_not_know_it_wakes_nobody(headers: dict[str, str]) -> None:
    health = Health()
    raw = {name: value.encode() for name, value in headers.items()}
    answer = ask("POST", "/hook", health, headers=raw, content=b'{"ref": "main"}')  # type: ignore[arg-type]
    assert (answer.status_code, health.woken) == (401, [])
    assert TOKEN not in answer.text


def test_a_body_beyond_a_mebibyte_is_refused_before_it_is_read_whole() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64:
            sent += 1
            yield b"x" * 65_536

    health = Health()
    answer = ask("POST", "/hook", health, headers={"Authorization": f"Bearer {TOKEN}"}, content=endless())
    assert (answer.status_code, health.woken) == (413, [])
    assert sent < 64


def test_without_a_token_there_is_no_hook() -> None:
    assert ask("POST", "/hook", token=None).status_code == 404
    assert ask("POST", "/hook", token="").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/hook"), ("POST", "/healthz"), ("DELETE", "/metrics"), ("PUT", "/hook")]
)
def test_other_methods_are_not_allowed(method: str, path: str) -> None:
    assert ask(method, path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405


def test_it_serves_on_a_real_port_until_it_is_stopped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as finder:
        port = finder.getsockname()[1]
    before = signal.getsignal(signal.SIGTERM)

    async def scenario() -> None:
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(node_app(Health(), lambda: None, None), f"127.0.0.1:{port}", stop))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            answer = await until(lambda: client.get("/healthz"))
            assert answer.json()["node"] == "node-1"
            assert signal.getsignal(signal.SIGTERM) is before
            stop.set()
            await asyncio.wait_for(serving, 10)

    asyncio.run(scenario())
    socket.create_server(("127.0.0.1", port)).close()


async def until(get: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    for _ in range(500):
        try:
            return await get()
        except httpx.ConnectError:
            await asyncio.sleep(0.01)
    pytest.fail("the port never answered")


def test_a_port_in_use_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(BadInput) as refusal:
            asyncio.run(serve(node_app(Health(), lambda: None, None), listen, asyncio.Event()))
    assert str(refusal.value) == f"listen: {listen} is in use by another program; choose another port in node.yaml"


@pytest.mark.parametrize(
    ("listen", "advice"),
    [
        ("9100", "write host:port in node.yaml"),
        ("localhost:http", "write host:port in node.yaml"),
        ("127.0.0.1:99999", "write host:port in node.yaml"),
        ("192.0.2.1:9100", "is not an address of this machine"),
    ],
)
def test_an_impossible_address_says_what_to_write(listen: str, advice: str) -> None:
    with pytest.raises(BadInput, match=advice):
        asyncio.run(serve(node_app(Health(), lambda: None, None), listen, asyncio.Event()))
