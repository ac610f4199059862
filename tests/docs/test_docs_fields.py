"""Every field of every schema stands in its page's table, and no other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.config import NodeConfig
from reconciler.core.desired import NodePolicy, Retries, Site
from reconciler.core.names import NodeName
from tests.docs.conftest import Page, Section

Schema = dict[str, Any]

TABLES = {
    ("site", "Fields"): ("site", ()),
    ("site", "Notifications"): ("site", ("properties", "notifications", "items")),
    ("pipeline", "Fields"): ("pipeline", ()),
    ("pipeline", "Fields of a stage"): ("pipeline", ("properties", "stages", "items")),
    ("pipeline", "requires"): ("common", ("$defs", "requires")),
    ("pipeline", "retries"): ("common", ("$defs", "retries")),
    ("project", "Fields"): ("project", ()),
    ("project", "Folder defaults: _defaults.yaml"): ("defaults", ()),
    ("node", "On the machine: node.yaml"): ("node-config", ()),
    ("node", "In git: nodes/&lt;node&gt;.yaml"): ("node", ()),
}
ELSEWHERE = ("/requires", "/retries")
"""Parts with a table of their own."""


def schema(root: Path, name: str) -> Schema:
    found: Schema = json.loads((root / f"schemas/{name}.schema.json").read_text(encoding="utf-8"))
    return found


def fields(found: Schema, common: Schema, before: str = "") -> Iterator[str]:
    """Paths of the leaves: ``next.stage``, ``stages.<stage>.timeout``."""
    for name, value in found.get("properties", {}).items():
        path, reference = f"{before}{name}", value.get("$ref", "")
        inner = common["$defs"][reference.rsplit("/", 1)[-1]] if reference else value
        if reference.endswith(ELSEWHERE):
            yield path
        elif inner.get("properties"):
            yield from fields(inner, common, f"{path}.")
        elif inner.get("additionalProperties", {}) and inner["additionalProperties"].get("type") == "object":
            yield from fields(inner["additionalProperties"], common, f"{path}.<{one_of(name)}>.")
        else:
            yield path


def one_of(name: str) -> str:
    return f"{name.removesuffix('ies')}y" if name.endswith("ies") else name.removesuffix("s")


def differences(section: Section, wanted: set[str]) -> dict[str, list[str]]:
    written = set(section.first_cells())
    return {"missing": sorted(wanted - written), "unknown": sorted(written - wanted)}


@pytest.mark.parametrize("place", TABLES, ids=lambda place: f"{place[0]}: {place[1]}")
def test_a_table_names_exactly_the_schemas_fields(place: tuple[str, str], docs: dict[str, Page], root: Path) -> None:
    """A field that nobody documents, or that is gone, is found here."""
    name, pointer = TABLES[place]
    found = schema(root, name)
    for step in pointer:
        found = found[step]
    section = docs[place[0]].section(place[1])
    assert differences(section, set(fields(found, schema(root, "common")))) == {"missing": [], "unknown": []}


def test_every_schema_has_a_table(root: Path) -> None:
    """A new kind of file needs a page."""
    names = {path.name.removesuffix(".schema.json") for path in (root / "schemas").glob("*.schema.json")}
    assert names == {name for name, _ in TABLES.values()}


def test_a_missing_and_an_invented_field_are_noticed() -> None:
    """The check can fail."""
    section = Section("Fields", "| field |\n| --- |\n| `name` | x |\n| `colour` | x |\n")
    assert differences(section, {"name", "version"}) == {"missing": ["version"], "unknown": ["colour"]}


def default(section: Section, field: str) -> str:
    row = next(line for line in section.text.splitlines() if line.startswith(f"| `{field}` |"))
    return row.split(" | ")[2].strip("`")


def test_defaults_in_the_tables_are_the_codes(docs: dict[str, Page]) -> None:
    """The numbers people plan with."""
    site, node = docs["site"].section("Fields"), docs["node"].section("On the machine: node.yaml")
    usual = NodeConfig(name=NodeName("a"), state_url="b", share=Path("c"))
    told = {
        "heartbeat": default(site, "heartbeat"),
        "ttl": default(site, "ttl"),
        "limit": default(docs["pipeline"].section("retries"), "limit"),
        "backoff": default(docs["pipeline"].section("retries"), "backoff"),
        "poll": default(node, "poll"),
        "local": default(node, "local"),
        "runtime": default(node, "runtime"),
        "state.branch": default(node, "state.branch"),
        "docker.stop_grace": default(node, "docker.stop_grace"),
        "drained": default(docs["node"].section("In git: nodes/&lt;node&gt;.yaml"), "drained"),
    }
    assert told == {
        "heartbeat": f"{Site().heartbeat.total_seconds():g}s",
        "ttl": f"{Site().ttl.total_seconds():g}s",
        "limit": str(Retries().limit),
        "backoff": f"{Retries().backoff.total_seconds() / 60:g}m",
        "poll": f"{usual.poll.total_seconds():g}s",
        "local": str(usual.local),
        "runtime": usual.runtime,
        "state.branch": usual.branch,
        "docker.stop_grace": f"{usual.docker.stop_grace.total_seconds():g}s",
        "drained": str(NodePolicy().drained).lower(),
    }
