"""Files that people get wrong: the place and what to write, for that project alone; the others go on."""

import os
from typing import Any

import pytest

CASES: dict[str, tuple[str | bytes, str]] = {
    "broken": ("pipeline: quick\n  tags: [\n", ":2:7: a ': ' can't stand here"),
    "lost": ("pipeline: quikc\n", ":1:11: there is no pipelines/quikc.yaml; did you mean 'quick'?"),
    "empty": ("", ":1:1: this project names no pipeline; write for example"),
    "twice": ("pipeline: quick\npaused: true\npaused: false\n", ":3:1: the key 'paused' stands here twice"),
    "types": ("pipeline: quick\npaused: 1\n", ":2:9: paused must be true or false, not 1"),
    "big": ("pipeline: quick\n#" + "x" * 2 * 1024 * 1024, ":1:1: the file is longer than 1,048,576 bytes"),
    "deep": ("[" * 100_000, ":1:65: values are nested more than 64 deep"),
    "latin": ("name: Straße\npipeline: quick\n".encode("latin-1"), ":1:11: this is not UTF-8 text"),
    "with.dot": ("pipeline: quick\n", ":1:1: 'with.dot' can't name a project"),
    "straße": ("pipeline: quick\n", ":1:1: 'straße' can't name a project"),
    "a" * 200: ("pipeline: quick\n", "can't name a project; name the file with letters"),
}


def put(site: Any, name: str, content: str | bytes) -> None:
    path = site.state / f"projects/{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def running(site: Any) -> Any:
    """A project that runs until the test opens the gate, whatever else is committed meanwhile."""
    gate = site.root / "gate"
    site.stage("quick", "echo hello")
    site.stage("gated", f"while [ ! -e {gate} ]; do sleep 0.1; done")
    site.write("projects/ulm.yaml", "pipeline: gated\n")
    site.start()
    site.until_project("ulm", phase="Running")
    return site


def test_each_broken_file_is_named_with_its_place_and_the_others_go_on(running: Any) -> None:
    site = running
    for name, (content, _) in CASES.items():
        put(site, name, content)
    put(site, "Upper", "pipeline: quick\n")
    (site.state / "projects/link.yaml").symlink_to("ulm.yaml")
    site.git(site.state, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},projects/more")
    site.git(site.state, "add", "projects/*.yaml")
    site.git(site.state, "commit", "-q", "-m", "All that can go wrong")
    site.git(site.state, "push", "-q", "origin", "HEAD:main")
    site.until_project("Upper", phase="Succeeded")
    status = site.status()
    projects = {project["project"]: project for project in status["projects"]}
    page, validated = site.page(), site("validate", site.state)
    readme = site.observed("README.md")
    for name, (_, words) in CASES.items():
        assert projects[name]["phase"] == "Invalid", name
        told = projects[name]["waiting_for"]["message"]
        assert told.startswith(f"projects/{name}.yaml:")
        assert words in told
        assert words in validated.out
        assert words in readme
        assert f"projects/{name}.yaml:" in page
    assert "projects/link.yaml:1:1: this is a symbolic link, which is never followed" in readme
    assert any("projects/more:1:1: warning: nobody reads what is in here: this is a submodule" in one["message"]
               for one in status["conditions"])  # fmt: skip
    assert validated.code == 1
    (site.root / "gate").touch()
    site.until_project("ulm", phase="Succeeded")
    site.write("projects/broken.yaml", "pipeline: quick\n")
    site.until_project("broken", phase="Succeeded")


def test_a_name_with_control_characters_writes_on_no_terminal(site: Any) -> None:
    put(site, "new\nline", "pipeline: quick\n")
    put(site, "esc\x1b[2Jape", "pipeline: quick\n")
    (site.state / os.fsdecode(b"projects/\xff\xfe.yaml")).write_text("pipeline: quick\n")
    site.push("Odd names")
    site.start()
    site.until(lambda: "ape.yaml" in site.observed("README.md"))
    ended = [site("--config", site.root / "alpha.yaml", "status"), site("validate", site.state)]
    for text in [*(one.out for one in ended), site.observed("README.md"), site.page()]:
        assert "\x1b" not in text
        assert r"projects/new\nline.yaml:1:1: " in text or r"projects/new\\nline.yaml:1:1: " in text
    assert ended[1].code == 1


def test_a_file_broken_while_its_project_runs_changes_nothing(running: Any) -> None:
    site = running
    site.write("projects/ulm.yaml", "pipeline: gated\npaused: [\n")
    site.write("pipelines/gated.yaml", "stages: [\n")

    def messages() -> list[str]:
        return [one["message"] for one in site.project("ulm")["conditions"] if one["type"] == "FileBroken"]

    site.until(lambda: len(messages()) == 2)
    assert site.project("ulm")["phase"] == "Running"
    for path, message in zip(("projects/ulm.yaml", "pipelines/gated.yaml"), messages(), strict=True):
        assert message.startswith(f"{path}:")
        assert "goes on)" in message
    site.until(lambda: "goes on)" in site.observed("projects/ulm/status.yaml"))
    (site.root / "gate").touch()
    site.until_project("ulm", phase="Succeeded")


def test_a_request_that_can_not_be_answered_says_what_to_write(site: Any) -> None:
    site.stage("quick", "echo hello")
    put(site, "unknown", "pipeline: quick\nnext: {stage: wrok}\n")
    put(site, "future", "pipeline: quick\nnext: {stage: work, after: 7}\n")
    put(site, "stale", "pipeline: quick\n")
    site.push("Ask")
    site.start()
    site.until_project("stale", phase="Succeeded")
    put(site, "stale", "pipeline: quick\nnext: {stage: work, after: 1}\n")
    site.push("Once")
    site.until_project("stale", phase="Succeeded", last_run=2)
    put(site, "stale", 'pipeline: quick\nnext: {stage: work, after: 1, id: "late"}\n')
    site.push("Late")
    site.until(lambda: "RequestStale" in str(site.project("stale")))
    assert "to ask again write: next: {stage: work, after: 2}" in str(site.project("stale")["conditions"])
    assert "next waits for run 7; the last run is 1" in str(site.project("future")["conditions"])
    unknown = site.project("unknown")
    assert unknown["waiting_for"]["message"] == "next asks for stage 'wrok', but pipeline 'quick' has: work"
    assert unknown["waiting_for"]["edit"] == "next: {stage: work}"
    assert "projects/unknown.yaml:2:15: " in unknown["conditions"][0]["message"]
