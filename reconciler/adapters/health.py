"""Asking another node at its HTTP port what it acts on.

What comes back is a stranger's until it proves to be that node's: it is read only up to a size and a deadline, no
redirect is followed, and no proxy of the environment is asked.
"""

import json
import time
from typing import Any

import httpx

from reconciler.agent.ports import Answer
from reconciler.core.names import NodeName, Token
from reconciler.core.takeover import DEADLINE

MAX_ANSWER = 4 * 1024 * 1024
CODES = (200, 503)
"""A node whose heartbeat hangs calls itself ill: just then its word is wanted."""


def ask_node(address: str) -> Answer | None:
    """What the node at ``host:port`` says of itself; None: nothing that a node says, or not in time."""
    limits = httpx.Timeout(DEADLINE)
    try:
        with (
            httpx.Client(timeout=limits, trust_env=False, follow_redirects=False) as client,
            client.stream("GET", f"http://{address}/healthz") as response,
        ):
            body = _body(response) if response.status_code in CODES else None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        return None
    return None if body is None else _answer(body)


def _body(response: httpx.Response) -> bytes | None:
    """All of it; None if it is too much or comes too slowly."""
    end, body = time.monotonic() + DEADLINE, b""
    for part in response.iter_bytes():
        body += part
        if len(body) > MAX_ANSWER or time.monotonic() > end:
            return None
    return body


def _answer(body: bytes) -> Answer | None:
    try:
        said: Any = json.loads(body)
        tokens = frozenset(Token(str(claim["token"])) for claim in said["claims"])
        return Answer(node=NodeName(str(said["node"])), incarnation=str(said["incarnation"]), claims=tokens)
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
