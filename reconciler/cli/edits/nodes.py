"""Edits of nodes/<node>.yaml: taking a node out of service, and back."""

import difflib
from typing import Annotated

import typer

from reconciler.cli.edits.state import SHOWN, Edit, State
from reconciler.codec.edit import Change, Drop, Put, edited
from reconciler.codec.editors import schema_line
from reconciler.codec.validate import Kind
from reconciler.errors import BadInput

NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="The node's name.")]


def drain(
    state: State,
    node: NodeArgument,
    hand_over: Annotated[
        bool,
        typer.Option("--hand-over", help="Stop what runs there, too: other nodes start it again; uses no attempt."),
    ] = False,
) -> Edit:
    """Take a node out of service: it starts nothing new, and what runs there goes on to its end."""
    changes: list[Change] = [Put(("drained",), True), Put(("hand_over",), True) if hand_over else Drop(("hand_over",))]
    running = state.runs_on(node)
    what = "drain, hand over" if hand_over else "drain"
    return _change(state, node, changes, subject=what, follows=_follows(node, running, hand_over=hand_over))


def undrain(state: State, node: NodeArgument) -> Edit:
    """Take a drained node back into service."""
    changes: list[Change] = [Put(("drained",), False), Drop(("hand_over",))]
    follows = f"{node} takes stages again once the nodes have seen it; see winslow status"
    return _change(state, node, changes, subject="undrain", follows=follows)


def _change(state: State, node: str, changes: list[Change], *, subject: str, follows: str) -> Edit:
    path = f"nodes/{node}.yaml"
    before = state.text(path)
    if node not in (known := state.nodes()):
        raise BadInput(_unknown(node, known))
    begun = f"{schema_line(Kind.NODE, path)}\n" if before is None else before
    is_in_service = before is None and subject == "undrain"
    after = before if is_in_service else edited(begun, changes, file=path)
    return Edit(project=node, path=path, before=before, after=after, subject=subject, follows=follows)


def _follows(node: str, running: list[str], *, hand_over: bool) -> str:
    watch = "winslow status shows 'drained' beside it when it is empty: then it is safe to switch off"
    back = f"to take it back: winslow node undrain {node}"
    if not running:
        return f"{node} starts nothing new, and nothing was reported to run there; {watch}; {back}"
    several = ", ".join(running)
    if hand_over:
        then = "other nodes that fit start it again at once, which uses no attempt"
        return f"{node} starts nothing new and stops {several}; {then}; {watch}; {back}"
    sooner = f"to move it to other nodes now: winslow node drain {node} --hand-over"
    return f"{node} starts nothing new; it still runs {several}, to its end; {watch}; {sooner}; {back}"


def _unknown(node: str, known: list[str]) -> str:
    if not known:
        return f"there is no node '{node}': none has joined and been published yet; see winslow status"
    if near := difflib.get_close_matches(node, known, n=1):
        return f"there is no node '{node}'; did you mean '{near[0]}'?"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"there is no node '{node}'; there are: {', '.join(known[:SHOWN])}{more}"
