"""The whole way: a real node, a stage that fails, a hook that hears of it; and the command that tries an entry."""

import json
from typing import Any

from reconciler.adapters.share import SharedDirectory
from reconciler.cli.codes import Exit
from tests.bad_input.conftest import SITE_FILE, Site
from tests.notify.conftest import Answer, Hook, Post

KEY = "a long and secret text"


def write_entries(site: Site, *entries: dict[str, Any]) -> None:
    site.write("winslow.yaml", SITE_FILE + f"notifications: {json.dumps(entries)}\n")


def chat(hook: Hook, **fields: Any) -> dict[str, Any]:
    return {"name": "chat", "webhook": {"url": hook.url, "secret": {"secret": "chat-key"}}, **fields}


def is_told_as_failing(site: Site) -> bool:
    return any(condition["type"] == "NotificationFailing" for condition in site.status()["conditions"])


def fail(site: Site, name: str) -> None:
    site.write(f"projects/{name}.yaml", f"name: {name.title()}\npipeline: flow\ntags: [night]\n")


def test_a_failing_stage_is_told_once_whoever_publishes(site: Site, hook: Hook) -> None:
    """First without its secret, which is said; then once, also after the node was killed and another one publishes."""
    keys = site.root / "keys"
    keys.mkdir()
    write_entries(site, chat(hook, tags=["night"]))
    site.stage("flow", "echo no such camera; exit 3")
    node = site.start(secrets_dir=str(keys))
    share = SharedDirectory(site.share)
    site.until(lambda: "begun" in share.marks("notifications.chat"))
    fail(site, "ulm")
    site.until(lambda: is_told_as_failing(site))
    assert hook.requests == []
    (keys / "chat-key").write_text(f"{KEY}\n")
    site.until(lambda: hook.requests, 60)
    site.until(lambda: not is_told_as_failing(site))
    event = hook.requests[0].event
    assert (event["event"], event["project"], event["run"], event["stage"]) == ("project.failed", "ulm", 1, "work")
    assert (event["exit_code"], event["tail"], event["edit"]) == (
        3,
        ["no such camera"],
        "next: {stage: work, after: 1}",
    )
    assert hook.requests[0].headers["webhook-signature"].startswith("v1,")
    node.process.kill()
    node.process.wait()
    site.start("beta", secrets_dir=str(keys))
    fail(site, "jena")
    site.until(lambda: len(hook.requests) > 1, 60)
    assert [request.event["project"] for request in hook.requests] == ["ulm", "jena"]


def test_an_entry_can_be_tried_before_it_is_needed(site: Site, hook: Hook, post: Post) -> None:
    """No node has to run; nothing is remembered."""
    (site.root / "chat-key").write_text(KEY)
    config = site.config(secrets_dir=".", commands={"pager": ["sh", "-c", "echo no modem >&2; exit 1"]})
    email = {"to": ["ada@x", "ben@x"], "from": "winslow@x", "host": "127.0.0.1", "port": post.port}
    write_entries(site, chat(hook), {"name": "mail", "email": email}, {"name": "page", "command": "pager"})

    def notify(name: str) -> tuple[int, str, str]:
        ended = site("notify", name, "--config", config)
        return ended.code, ended.out, ended.err

    assert notify("chat") == (Exit.OK, "notification 'chat' was delivered\n", "")
    assert (hook.requests[0].event["event"], hook.requests[0].event["project"]) == ("test", "test")
    hook.answers = [Answer(404, body=b"no_team"), Answer(503, body=b"")]
    refused = "winslow: notification 'chat' was refused: 127.0.0.1 answered 404 Not Found (no_team)\n"
    assert notify("chat") == (Exit.BAD_INPUT, "", refused)
    assert notify("chat")[0] == Exit.UNAVAILABLE
    post.refuse = {"ben@x": "550 unknown"}
    code, out, _ = notify("mail")
    assert (code, "ben@x: unknown; the others were told" in out) == (Exit.OK, True)
    code, _, err = notify("page")
    assert (code, "could not be delivered: 'pager' ended with code 1: no modem" in err) == (Exit.UNAVAILABLE, True)
    code, _, err = notify("nobody")
    assert (code, "has no notification 'nobody' (it has: chat, mail, page)" in err) == (Exit.BAD_INPUT, True)
    (site.root / "chat-key").unlink()
    code, _, err = notify("chat")
    assert (code, "secret 'chat-key' can't be read" in err) == (Exit.FAILED, True)
