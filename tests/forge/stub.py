"""Forges as their documentation describes them: real HTTP on 127.0.0.1, strict about what they are sent.

What a real forge would not understand is a ``fault`` of ours; the fixture asserts that there is none. Shapes: see the
docstrings of ``reconciler.adapters.forge``.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from reconciler.core.desired import Forge as ForgeSettings
from reconciler.core.desired import Secret

TOKEN = "top-secret-token-4711"
SHA = re.compile(r"[0-9a-f]{40}")
Json = Any


@dataclass(frozen=True)
class Call:
    method: str
    path: str  # as it stood on the wire, still encoded
    query: dict[str, str]
    headers: dict[str, str]
    body: Json


@dataclass(frozen=True)
class Answer:
    code: int
    body: Json = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Posted:
    commit: str
    state: str
    context: str
    description: str
    target_url: str | None = None


def settings_of(stub: "StubForge", **fields: str) -> ForgeSettings:
    """What winslow.yaml says of it."""
    return ForgeSettings(kind=stub.kind, url=stub.url, token=Secret("forge-token"), commit_status=True, **fields)


class StubForge:
    """``kind`` decides the dialect. ``next_answers`` are given before anything else is looked at."""

    def __init__(self, kind: str, repository: str) -> None:
        self.kind = kind
        self.repository = repository
        self.calls: list[Call] = []
        self.faults: list[str] = []
        self.posted: list[Posted] = []
        self.requests: list[dict[str, Json]] = []  # merge or pull requests, as the forge's lists show them
        self.topics: dict[int, str] = {}  # heads that AGit requests have and do not show
        self.next_answers: deque[Answer] = deque()
        self.unknown: set[str] = set()  # commits that the forge does not have
        self.connections = 0
        self.page_size = 50
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def setup(self) -> None:
                super().setup()
                stub.connections += 1

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                stub.handle(self, self.rfile.read(length))

            do_GET = do_POST = do_PUT = do_PATCH = handle_any  # noqa: N815  # named by http.server

            def log_message(self, format: str, *args: object) -> None:  # named by http.server
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The repository's web page."""
        return f"{self.root}/{self.repository}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def states(self, context: str) -> list[str]:
        return [one.state for one in self.posted if one.context == context]

    def closed(self) -> list[int]:
        return [one["iid" if self.kind == "gitlab" else "number"] for one in self.requests if one["state"] == "closed"]

    def open_request(
        self, number: int, branch: str, *, from_fork: bool = False, topic_of: str | None = None, is_gone: bool = False
    ) -> None:
        """As the forge's list shows a request from ``branch``; ``topic_of`` makes it an AGit request of that user."""
        if self.kind == "gitlab":
            request = {"iid": number, "source_branch": branch, "target_branch": "main", "state": "opened"}
            self.requests.append({**request, "source_project_id": 8 if from_fork else 7, "target_project_id": 7})
            return
        hidden = f"refs/pull/{number}/head"
        head = {"ref": hidden if is_gone else branch, "label": branch, "repo": {"id": 8 if from_fork else 7}}
        if topic_of is not None:
            head |= {"ref": hidden, "label": ""}
            self.topics[number] = f"{topic_of.lower()}/{branch}"
        base = {"ref": "main", "label": "main", "repo": {"id": 7}}
        pull = {
            "number": number,
            "title": f"Merge {branch}",
            "state": "open",
            "user": {"login": topic_of or "ada"},
            "head": head,
            "base": base,
        }
        self.requests.append(pull)

    # --- answering ---

    def handle(self, handler: BaseHTTPRequestHandler, raw: bytes) -> None:
        split = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        body = json.loads(raw) if raw else None
        call = Call(handler.command, split.path, query, dict(handler.headers.items()), body)
        self.calls.append(call)
        answer = self.next_answers.popleft() if self.next_answers else self._answer(call)
        content = json.dumps(answer.body).encode()
        handler.send_response(answer.code)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _answer(self, call: Call) -> Answer:
        dialect: Callable[[Call], Answer | None] = {"gitlab": self._gitlab}.get(self.kind, self._pulls)
        if not self._is_authorised(call):
            return Answer(401, {"message": "401 Unauthorized"})
        if call.body is not None and call.headers.get("Content-Type") != "application/json":
            self._fault(call, "the body is not said to be JSON")
        answer = dialect(call)
        return answer if answer is not None else self._fault(call, "no such route")

    def _is_authorised(self, call: Call) -> bool:
        match self.kind:
            case "gitlab":
                return call.headers.get("PRIVATE-TOKEN") == TOKEN
            case "github":
                self._expect(call, call.headers.get("X-GitHub-Api-Version") == "2022-11-28", "no version of the API")
                self._expect(call, call.headers.get("Accept") == "application/vnd.github+json", "Accept")
                return call.headers.get("Authorization") == f"Bearer {TOKEN}"
            case _:
                return call.headers.get("Authorization") == f"token {TOKEN}"

    def _fault(self, call: Call, what: str) -> Answer:
        self.faults.append(f"{call.method} {call.path} {call.query} {call.body}: {what}")
        return Answer(404, {"message": "404 Not Found"})

    def _expect(self, call: Call, holds: bool, what: str) -> None:
        if not holds:
            self._fault(call, what)

    def _fields(self, call: Call, required: set[str], allowed: set[str]) -> dict[str, Json]:
        body = call.body if isinstance(call.body, dict) else {}
        self._expect(call, required <= body.keys() <= required | allowed, f"fields {sorted(body)}")
        self._expect(call, all(isinstance(value, str) for value in body.values()), "a value is no text")
        return body

    def _page(self, call: Call, found: list[dict[str, Json]], size: str) -> Answer:
        self._expect(call, call.query.get(size, "").isdigit() and call.query.get("page", "").isdigit(), "paging")
        page = int(call.query["page"])
        first = (page - 1) * self.page_size
        rest = found[first + self.page_size :]
        link = {"Link": f'<http://elsewhere.invalid/?page={page + 1}>; rel="next"'} if rest else {}
        return Answer(200, found[first : first + self.page_size], link)

    # --- GitLab ---

    def _gitlab(self, call: Call) -> Answer | None:
        project = "/api/v4/projects/" + self.repository.replace("/", "%2F")
        match call.method, call.path.removeprefix(project):
            case "POST", path if found := re.fullmatch(r"/statuses/([^/]+)", path):
                return self._gitlab_status(call, found[1])
            case "GET", "/merge_requests":
                self._expect(call, call.query.get("state") == "opened", "state")
                wanted = call.query.get("source_branch")
                is_open = [one for one in self.requests if one["state"] == "opened"]
                return self._page(call, [one for one in is_open if one["source_branch"] == wanted], "per_page")
            case "PUT", path if found := re.fullmatch(r"/merge_requests/(\d+)", path):
                self._expect(call, call.body == {"state_event": "close"}, "body")
                one = next(one for one in self.requests if one["iid"] == int(found[1]))
                one["state"] = "closed"
                return Answer(200, one)
            case _:
                return None

    def _gitlab_status(self, call: Call, sha: str) -> Answer:
        body = self._fields(call, {"state"}, {"ref", "name", "context", "target_url", "description"})
        states = ("pending", "running", "success", "failed", "canceled", "skipped")
        self._expect(call, body.get("state") in states and bool(SHA.fullmatch(sha)), "state or commit")
        self._expect(call, all(len(value) <= 255 for value in body.values()), "longer than 255")
        if sha in self.unknown:
            return Answer(404, {"message": "404 Commit Not Found"})
        name, state = body.get("name") or body.get("context") or "default", body["state"]
        before = next((one.state for one in reversed(self.posted) if (one.commit, one.context) == (sha, name)), None)
        event = {"pending": "enqueue", "running": "run"}.get(state)
        if (before, state) in {("pending", "pending"), ("running", "running"), ("running", "pending")}:
            says = f"Cannot transition status via :{event} from :{before}"
            return Answer(400, {"message": f'{says} (Reason(s): Status cannot transition via "{event}")'})
        return self._post(sha, state, name, body)

    def _post(self, sha: str, state: str, context: str, body: dict[str, Json]) -> Answer:
        self.posted.append(Posted(sha, state, context, body.get("description", ""), body.get("target_url")))
        return Answer(201, {"id": len(self.posted), "sha": sha, "status": state, "name": context})

    # --- GitHub, Forgejo, Gitea ---

    def _pulls(self, call: Call) -> Answer | None:
        prefix = {"github": "/api/v3"}.get(self.kind, "/api/v1") + "/repos/" + self.repository
        if not call.path.startswith(prefix):
            return None
        match call.method, call.path.removeprefix(prefix):
            case "POST", path if found := re.fullmatch(r"/statuses/([^/]+)", path):
                return self._pulls_status(call, found[1])
            case "GET", "/pulls":
                return self._pull_list(call)
            case "GET", path if found := re.fullmatch(r"/pulls/([^/]+)/(.+)", path):
                return self._pull_by_head(unquote(found[1]), unquote(found[2]))
            case "PATCH", path if found := re.fullmatch(r"/pulls/(\d+)", path):
                self._expect(call, call.body == {"state": "closed"}, "body")
                one = next(one for one in self.requests if one["number"] == int(found[1]))
                one["state"] = "closed"
                return Answer(201 if self.kind != "github" else 200, one)
            case _:
                return None

    def _pulls_status(self, call: Call, sha: str) -> Answer:
        body = self._fields(call, {"state"}, {"context", "target_url", "description"})
        states = {"pending", "success", "error", "failure"} | ({"warning"} if self.kind != "github" else set())
        self._expect(call, body.get("state") in states and bool(SHA.fullmatch(sha)), "state or commit")
        self._expect(call, len(body.get("description", "")) <= 140, "a description of more than 140 characters")
        if sha in self.unknown:
            if self.kind == "github":
                return Answer(422, {"message": f"No commit found for SHA: {sha}", "status": "422"})
            return Answer(404, {"errors": None, "message": sha, "url": f"{self.root}/api/swagger"})
        return self._post(sha, body["state"], body.get("context", "default"), body)

    def _pull_list(self, call: Call) -> Answer:
        self._expect(call, call.query.get("state") == "open", "state")
        found = [one for one in self.requests if one["state"] == "open"]
        if self.kind != "github":
            return self._page(call, found, "limit")
        owner, _, branch = call.query.get("head", "").partition(":")
        self._expect(call, owner == self.repository.split("/")[0], "head is not owner:branch")
        return self._page(call, [one for one in found if one["head"]["ref"] == branch], "per_page")

    def _pull_by_head(self, base: str, head: str) -> Answer:
        """Only Forgejo and Gitea have this; a head is a branch, or ``user/topic``."""
        for one in self.requests:
            if one["base"]["ref"] == base and self.topics.get(one["number"], one["head"]["ref"]) == head:
                return Answer(200, one)
        return Answer(404, {"message": "The target couldn't be found."})
