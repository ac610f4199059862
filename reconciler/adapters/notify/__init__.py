"""Telling people: webhooks, mail, commands of the node."""

from collections.abc import Callable, Mapping
from typing import assert_never

from reconciler.adapters.notify.command import CommandSink
from reconciler.adapters.notify.email import EmailSink
from reconciler.adapters.notify.webhook import WebhookSink
from reconciler.core.desired import Command, Email, Notification, Secret, Webhook


def open_sink(
    entry: Notification, *, read: Callable[[Secret], str], commands: Mapping[str, tuple[str, ...]]
) -> WebhookSink | EmailSink | CommandSink:
    """``read`` looks secrets up on this node, ``commands`` are those of its node.yaml."""
    match entry.sink:
        case Webhook() as webhook:
            return WebhookSink(webhook, read)
        case Email() as email:
            return EmailSink(email, read)
        case Command() as command:
            return CommandSink(command, commands)
        case _ as never:
            assert_never(never)


__all__ = ["CommandSink", "EmailSink", "WebhookSink", "open_sink"]
