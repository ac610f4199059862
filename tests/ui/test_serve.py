"""The port: ours before the server starts, and given back when it ends."""

import asyncio
import socket

import httpx
import pytest
from starlette.applications import Starlette

from readonly_ui.serve import address, listen, serve
from reconciler.errors import BadInput


def test_a_port_in_use_is_said_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(BadInput) as refused:
            listen("127.0.0.1", port)

    expected = f"port {port} on 127.0.0.1 is in use by another program; choose another one with --port"
    assert str(refused.value) == expected


@pytest.mark.parametrize(("host", "port"), [("192.0.2.7", 0), ("127.0.0.1", 70000)])
def test_an_address_that_is_not_ours_is_refused_in_words(host: str, port: int) -> None:
    with pytest.raises(BadInput, match=r"no address of this machine|0 to 65535"):
        listen(host, port)


def test_the_address_of_an_ipv6_socket_can_be_clicked() -> None:
    with listen("::1", 0) as listening:
        assert address(listening).startswith("http://[::1]:")


def test_it_serves_until_it_is_asked_to_stop_and_frees_the_port(app: Starlette) -> None:
    async def visit() -> str:
        stop = asyncio.Event()
        started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, ready=started.set_result))
        where = await started
        async with httpx.AsyncClient(base_url=where) as client:
            assert (await client.get("/healthz")).json()["ok"]
            head = await client.head("/")
            assert (head.status_code, head.content) == (200, b"")
            assert "server" not in head.headers
        stop.set()
        await asyncio.wait_for(serving, 10)
        return where

    where = asyncio.run(visit())
    with listen("127.0.0.1", int(where.rsplit(":", 1)[1])):
        pass
