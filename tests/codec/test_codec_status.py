import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.codec.emit import dump_yaml
from reconciler.codec.status import dump_node, dump_project, dump_status, load_node, load_project, load_status
from reconciler.core.status import STATUS_VERSION, NodeStatus, ProjectStatus, RunStatus, Status, WaitingFor
from reconciler.errors import RecordUnreadable

# Only what types can't tell: times are UTC to the millisecond, numbers are numbers.
moments = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))
maybe = st.none() | moments
numbers = st.floats(allow_nan=False)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


runs = st.builds(RunStatus, started_at=maybe, ended_at=maybe, progress=st.none() | numbers)
projects = st.builds(ProjectStatus, waiting_for=st.none() | st.builds(WaitingFor, since=maybe), runs=some(runs))
nodes = st.builds(NodeStatus, silent_for=st.none() | numbers, cpus=numbers, started_at=maybe)
statuses = st.builds(Status, projects=some(projects), nodes=some(nodes), version=st.just(STATUS_VERSION))


@given(status=statuses)
def test_a_status_survives_json_and_yaml(status: Any) -> None:
    data = dump_status(status)
    assert load_status(json.loads(json.dumps(data))) == status
    assert load_status(yaml.safe_load(dump_yaml(data))) == status


def test_names_times_and_words_are_plain() -> None:
    run: Any = {"run": 4, "stage": "detect", "phase": "Running", "node": "lab-1", "attempts": 1, "exit_code": None}
    run |= {"started_at": "2026-11-23T01:02:03Z", "ended_at": "2026-11-23T01:02:03.250Z", "log": None}
    project = {"project": "ulm", "name": "Ulm", "pipeline": "flow", "tags": ["a"], "phase": "Running", "last_run": 4}
    project |= {"waiting_for": None, "conditions": [], "runs": [run]}
    project["stages"] = [{"stage": "detect", "state": "RUNNING", "run": 4}, {"stage": "x", "state": None, "run": None}]
    loaded = load_project(project)
    assert loaded.runs[0].started_at == datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
    written = dump_project(loaded)
    assert {name: written[name] for name in project if name != "runs"} == {
        name: value for name, value in project.items() if name != "runs"
    }
    assert run.items() <= written["runs"][0].items()


def test_a_node_survives_alone() -> None:
    data: dict[str, Any] = {
        "node": "lab-1",
        "live": None,
        "silent_for": 1.5,
        "runtime": "docker",
        "cpus": 4.0,
        "memory": 8,
        "gpus": ["u"],
        "labels": {"room": "lab-2"},
        "drained": False,
        "running": [],
        "started_at": None,
        "versions": {"docker": "20.10"},
        "conditions": [],
        "devices": [{"uuid": "GPU-1", "model": "RTX A6000", "memory": 48, "fault": "has fallen off the bus"}],
        "inventory": {"processor": "EPYC 7302", "disks": [{"path": "/", "size": 3, "kind": "ext4"}], "network": []},
        "cpus_used": 1.5,
        "memory_used": 4,
    }
    written = dump_node(load_node(data))
    plain = {name for name in data if name not in ("devices", "inventory")}
    assert {name: written[name] for name in plain} == {name: data[name] for name in plain}
    assert data["devices"][0].items() <= written["devices"][0].items()
    assert data["inventory"].items() <= written["inventory"].items()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"version": 2}, "has version 2 and this Winslow reads 1; update Winslow"),
        ({"version": 1}, "this is no status as Winslow writes it: no 'projects'"),
        ({"projects": [], "nodes": 5}, "this is no status as Winslow writes it"),
    ],
)
def test_what_is_no_status_is_refused(data: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordUnreadable, match=words):
        load_status(data)
