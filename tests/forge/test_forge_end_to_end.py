"""A real node, a real share, a real repository; only the forge is a stub, and it speaks HTTP."""

import json
from pathlib import Path
from typing import Any

from tests.bad_input.conftest import SITE_FILE
from tests.forge.conftest import MakeStub
from tests.forge.stub import TOKEN, StubForge

ULM = "winslow/ulm"


def use(site: Any, stub: StubForge, token: str = TOKEN) -> Path:
    """The site names the forge; the node has the token and has met it. Returns the token's file."""
    secrets: Path = site.root / "secrets"
    secrets.mkdir()
    (secrets / "forge-token").write_text(token + "\n", encoding="utf-8")
    forge = {"kind": stub.kind, "url": stub.url, "token": {"secret": "forge-token"}, "commit_status": True}
    site.write("winslow.yaml", f"{SITE_FILE}forge: {json.dumps(forge)}\n")
    site.start(secrets_dir=str(secrets))
    site.until(lambda: list(site.share.glob("**/commit-status/met-*")))
    return secrets / "forge-token"


def gated(site: Any, then: str) -> Path:
    """A project whose stage waits for the returned file."""
    gate: Path = site.root / "gate"
    site.stage("gated", f"while [ ! -e {gate} ]; do sleep 0.1; done; {then}")
    site.write("projects/ulm.yaml", "pipeline: gated\n")
    return gate


def in_order(found: list[str], expected: list[str]) -> bool:
    """Short states may be skipped; none comes twice or too early."""
    rest = iter(expected)
    return all(state in rest for state in found)


def test_a_commit_shows_what_became_of_it(site: Any, make_stub: MakeStub) -> None:
    stub = make_stub("gitlab")
    use(site, stub)
    gate = gated(site, "true")
    asked = site.git(site.state, "rev-parse", "HEAD").strip()
    site.until(lambda: stub.states(ULM)[-1:] == ["running"])
    site.write("README.md", "somebody else's commit\n")
    gate.touch()
    site.until(lambda: stub.states(ULM)[-1:] == ["success"])
    assert in_order(stub.states(ULM), ["pending", "pending", "running", "success"])
    assert {one.commit for one in stub.posted} == {asked}
    path = (stub.posted[-1].target_url or "").partition("/-/blob/observed/")[2]
    assert "phase: Succeeded" in site.observed(path)


def test_a_failing_stage_fails_its_commit_on_forgejo_too(site: Any, make_stub: MakeStub) -> None:
    stub = make_stub("forgejo")
    use(site, stub)
    gated(site, "exit 3").touch()
    site.until(lambda: stub.states(ULM)[-1:] == ["failure"])
    assert "failed on alpha: exited with code 3" in stub.posted[-1].description


def test_a_wrong_token_is_told_and_costs_no_run(site: Any, make_stub: MakeStub) -> None:
    """And stands nowhere but in its file, right or wrong."""
    stub = make_stub("gitlab")
    token = use(site, stub, token="wrong-token-0815")
    gate = gated(site, "true")
    site.until(lambda: "CommitStatusFailing" in json.dumps(site.status()))
    assert "does not accept the token" in json.dumps(site.status())
    token.write_text(TOKEN, encoding="utf-8")
    gate.touch()
    site.until_project("ulm", phase="Succeeded")
    site.until(lambda: stub.states(ULM)[-1:] == ["success"])
    site.until(lambda: "CommitStatusFailing" not in json.dumps(site.status()))
    files = [path for path in site.root.rglob("*") if path.is_file() and path != token]
    assert [path for path in files if any(word in path.read_bytes() for word in (TOKEN.encode(), b"wrong-token"))] == []
