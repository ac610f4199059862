"""Entries as people write them in winslow.yaml."""

import json
from typing import Any

import pytest

from reconciler.codec.desired import validate_file
from reconciler.codec.shapes import site
from reconciler.core.desired import Command, Email, Secret, Webhook

URL = "https://chat.example/hooks/winslow"
MAIL = {"to": ["ada@lab.example"], "from": "winslow@lab.example", "host": "mail.lab.example"}
LOGIN = {"user": "winslow", "password": {"secret": "post"}}


def complaints(*entries: dict[str, Any]) -> list[str]:
    text = json.dumps({"version": 1, "notifications": [{"name": f"e{n}", **e} for n, e in enumerate(entries)]})
    return [problem.message for problem in validate_file("winslow.yaml", text.encode())]


def test_each_way_to_tell_is_read() -> None:
    entries: list[dict[str, Any]] = [
        {"name": "a", "webhook": {"url": URL, "secret": {"secret": "key"}}, "phases": ["Failed"], "tags": ["night"]},
        {"name": "b", "webhook": {"url": {"secret": "address"}}},
        {"name": "c", "email": {**MAIL, **LOGIN, "security": "tls"}},
        {"name": "d", "command": "pager"},
    ]
    assert complaints(*entries) == []
    hook, secret, mail, command = site({"version": 1, "notifications": entries}).notifications
    assert (hook.name, hook.sink) == ("a", Webhook(url=URL, key=Secret("key")))
    assert (hook.phases, hook.tags) == (("Failed",), ("night",))
    assert secret.sink == Webhook(url=Secret("address"))
    assert secret.phases == ("AwaitingInput", "Failed", "Succeeded", "Invalid")
    assert isinstance(mail.sink, Email)
    assert (mail.sink.sender, mail.sink.password, mail.sink.security) == (MAIL["from"], Secret("post"), "tls")
    assert command.sink == Command(name="pager")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "does not say how to tell anybody"),
        ({"command": "pager", "webhook": {"url": URL}}, "write exactly one of webhook, email, command"),
        ({"webhook": {"url": "ftp://chat.example"}}, "must be an address such as"),
        ({"webhook": {"url": "https://ada:sesame@chat.example"}}, "without a user name"),
        ({"webhook": {"url": {"secrte": "x"}}}, "or {secret: name}"),
        ({"webhook": {"url": {"secret": "../etc/passwd"}}}, "or {secret: name}"),
        ({"email": {**MAIL, "user": "winslow"}}, "user and password of an e-mail server go together"),
        ({"email": {**MAIL, **LOGIN}}, "would send its password in the clear; write security: starttls or tls"),
        ({"email": {**MAIL, "to": ["ada"]}}, "must be an address such as ada@lab.example"),
        ({"command": "rm -rf /"}, "must be the name of an entry of commands in node.yaml"),
        ({"command": "pager", "phases": ["Running"]}, "must be AwaitingInput, Failed, Succeeded or Invalid"),
    ],
)
def test_a_wrong_entry_is_told_with_what_to_write(entry: dict[str, Any], words: str) -> None:
    found = complaints(entry)
    assert any(words in message for message in found), found
    assert not any("sesame" in message for message in found)


def test_two_entries_of_one_name_are_told() -> None:
    """What one of them has told would count for both."""
    twice = {"name": "chat", "command": "pager"}
    assert complaints(twice, twice) == ["the notification 'chat' stands here twice; give one another name"]
