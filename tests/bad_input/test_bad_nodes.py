"""A node that must not run says why, with the place where there is a file, and ends with a code for its kind."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

BAD_INPUT, UNAVAILABLE = 2, 3


def node_with(site: Any, text: str | bytes) -> Any:
    path = site.root / "odd.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    try:
        return site("--config", path, "node")
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\nnmae: lab\nstate: {url: /s}\nshare: /w\n", ["2:1: ", "'nmae'", "'name'"]),
        ("version: 1\nname: lab\nname: lob\nstate: {url: /s}\nshare: /w\n", ["3:1: ", "stands here twice"]),
        ("version: 1\nname: lab\nstate: /s\nshare: [w]\n", ["3:8: ", "4:8: "]),
        ("version: 1\nname: lab/2\nstate: {url: /s}\nshare: /w\n", ["2:7: ", "lab/2"]),
        ("version: 2\nname: lab\nstate: {url: /s}\nshare: /w\n", ["1:10: "]),
        ("version: 1\nname: lab\nstate: {url: /s}\nshare: /w\npoll: 5\n", ["5:7: ", "5"]),
        ("version: 1\nname: lab\nstate: {url: /s}\nshare: /w\nlisten: nine\n", ["5:9: "]),
        ("version: 1\nname: lab\nstate: {url: /s}\nshare: /w\nruntime: podman\n", ["5:10: ", "docker"]),
        ("name: lab\n", ["version", "state", "share"]),
        ("", ["version"]),
        ("[" * 100_000, ["nested more than 64 deep"]),
        (b"name: \xff\n", ["1:7: ", "UTF-8"]),
        ("- a\n- b\n", ["1:1: "]),
    ],
)
def test_a_wrong_node_yaml_is_told_by_its_place(site: Any, text: str | bytes, words: list[str]) -> None:
    ended = node_with(site, text)
    assert ended.code == BAD_INPUT
    assert all(word in ended.err for word in words), ended.err
    assert all(line.startswith(f"winslow: {site.root}/odd.yaml:") for line in ended.err.splitlines())


def test_a_directory_in_place_of_node_yaml_and_none_at_all_are_told(site: Any) -> None:
    ended = site("--config", site.root, "node")
    assert (ended.code, ended.err) == (BAD_INPUT, f"winslow: {site.root} can't be read: Is a directory\n")
    ended = site("--config", site.root / "no.yaml", "node")
    assert ended.code == BAD_INPUT
    assert f"there is no {site.root}/no.yaml; write one with" in ended.err


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_taken_port_stops_what_would_listen_there(site: Any, taken: int) -> None:
    node = site.start(listen=f"127.0.0.1:{taken}")
    assert node.process.wait(10) == BAD_INPUT
    words = f"winslow: listen: 127.0.0.1:{taken} is in use by another program; choose another port in node.yaml"
    assert words in node.said
    ended = site("--config", site.root / "alpha.yaml", "ui", "--port", str(taken))
    assert ended.code == BAD_INPUT
    assert f"port {taken} on 127.0.0.1 is in use by another program; choose another one with --port" in ended.err


def test_a_missing_hook_token_is_told(site: Any) -> None:
    node = site.start(listen="127.0.0.1:0", hook_token_file=str(site.root / "no-token"))
    assert node.process.wait(10) == BAD_INPUT
    assert "hook_token_file" in node.said
    assert str(site.root / "no-token") in node.said


@pytest.mark.parametrize("kind", ["file", "below a file"])
def test_a_local_directory_that_can_not_be_is_told(site: Any, kind: str) -> None:
    (site.root / "file").write_text("")
    local = site.root / ("file" if kind == "file" else "file/local")
    node = site.start(local=str(local))
    assert node.process.wait(10) == BAD_INPUT
    assert f"local: {local}" in node.said


def test_one_local_directory_belongs_to_one_reconciler(site: Any) -> None:
    first = site.start("alpha")
    second = site.start("beta", local=str(site.root / "local/alpha"))
    assert second.process.wait(10) == BAD_INPUT
    assert f"a reconciler runs already with local: {site.root}/local/alpha" in second.said
    assert first.process.poll() is None


def test_a_clone_of_a_living_node_is_refused_and_the_first_goes_on(site: Any) -> None:
    first = site.start("alpha")
    site.stage("quick", "echo hello")
    clone = site.root / "clone.yaml"
    clone.write_text(json.dumps({**json.loads((site.root / "alpha.yaml").read_text()), "local": f"{site.root}/other"}))
    ended = site("--config", clone, "node")
    clone.unlink()
    assert ended.code == BAD_INPUT
    assert "a node named 'alpha' is alive already" in ended.err
    assert "write another name in this machine's node.yaml" in ended.err
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    site.until_project("ulm", phase="Succeeded")
    assert first.process.poll() is None


def test_a_missing_engine_is_told_and_waited_for(site: Any) -> None:
    site.stage("quick", "echo hello")
    site.write("projects/ulm.yaml", "pipeline: quick\n")
    node = site.start(runtime="docker", docker={"host": f"unix://{site.root}/no.sock"})
    site.until(lambda: "EngineUnavailable" in str(site.status()["conditions"]))
    assert "EngineUnavailable" in site.page()
    assert node.process.poll() is None
    site.has_ended = bool(node.end() == 0)
