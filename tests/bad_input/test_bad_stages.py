"""Stages that can't start, or end badly: a reason that people can act on, and nothing else is held up."""

import json
from typing import Any


def failed_run(site: Any, name: str) -> Any:
    """The project's only run, once it has failed; what people are told names the run and the line that goes on."""
    project = site.until_project(name, phase="Failed")
    waiting = project["waiting_for"]
    assert waiting["edit"] == "next: {stage: work, after: 1}"
    assert "next: {stage: work, after: 1}" in site.explain(name)
    (run,) = project["runs"]
    return run


def test_what_a_container_stage_gets_wrong_is_said_of_each(site: Any, engine: Any) -> None:
    site.stage("nocommand", "true", command=["/no/such/program"])
    site.stage("hungry", "tail /dev/zero", requires={"cpus": 0.1, "memory": "16MiB"})
    site.stage("secretive", "true", environment={"LICENCE": {"secret": "tracker"}})
    site.stage("quick", "echo hello")
    for pipeline in ("nocommand", "hungry", "secretive"):
        (site.state / "projects").mkdir(exist_ok=True)
        (site.state / f"projects/{pipeline}.yaml").write_text(f"pipeline: {pipeline}\n")
    (site.state / "projects/thirsty.yaml").write_text("pipeline: quick\ninputs: [resources/no.mp4]\n")
    site.write("projects/fine.yaml", "pipeline: quick\n")
    site.start(runtime="docker")
    site.until_project("fine", phase="Succeeded")
    expected = {
        "nocommand": ("CommandNotFound", "'/no/such/program'"),
        "hungry": ("OutOfMemory", "requires.memory"),
        "secretive": ("SecretMissing", "secrets_dir"),
        "thirsty": ("InputMissing", "resources/no.mp4"),
    }
    for name, (reason, words) in expected.items():
        run = failed_run(site, name)
        assert run["reason"] == reason
        assert words in run["message"]
        assert run["attempts"] == 1
    site.until(lambda: all(reason in site.observed(f"projects/{n}/status.yaml") for n, (reason, _) in expected.items()))
    assert all(words in site.page(f"/projects/{name}").replace("&#39;", "'") for name, (_, words) in expected.items())


def test_what_a_process_stage_gets_wrong_is_said_of_each(site: Any) -> None:
    site.stage("nocommand", "true", process={"command": ["no-such-program"]})
    site.stage("secretive", "true", environment={"LICENCE": {"secret": "tracker"}})
    site.stage("quick", "echo hello")
    (site.state / "projects").mkdir()
    (site.state / "projects/nocommand.yaml").write_text("pipeline: nocommand\n")
    (site.state / "projects/secretive.yaml").write_text("pipeline: secretive\n")
    (site.state / "projects/outside.yaml").write_text("pipeline: quick\ninputs: [../../etc/passwd]\n")
    site.write("projects/thirsty.yaml", "pipeline: quick\ninputs: [input/no.mp4]\n")
    (site.root / "secrets").mkdir()
    site.start(secrets_dir=str(site.root / "secrets"))
    run = failed_run(site, "nocommand")
    assert (run["reason"], "process.environment" in run["message"]) == ("CommandNotFound", True)
    run = failed_run(site, "secretive")
    assert run["reason"] == "SecretMissing"
    assert f"secret 'tracker' can't be read in {site.root}/secrets" in run["message"]
    assert failed_run(site, "thirsty")["reason"] == "InputMissing"
    assert "projects/outside.yaml:2:" in site.until_project("outside", phase="Invalid")["waiting_for"]["message"]
    (site.root / "secrets/tracker").write_text("1234\n")
    site.write("projects/secretive.yaml", "pipeline: secretive\nnext: {stage: work, after: 1}\n")
    site.until_project("secretive", phase="Succeeded")


def test_a_container_removed_by_hand_is_tried_again(site: Any, engine: Any) -> None:
    site.stage("sleepy", "echo attempt $WINSLOW_ATTEMPT; [ $WINSLOW_ATTEMPT -gt 1 ] || sleep 300")
    site.write("projects/ulm.yaml", "pipeline: sleepy\n")
    site.start(runtime="docker")
    site.until(lambda: "attempt 1" in site("--config", site.root / "alpha.yaml", "logs", "ulm").out)
    share = json.loads((site.share / "winslow.json").read_text())["share"]
    (container,) = engine.containers.list(filters={"label": f"winslow.share={share}"})
    container.remove(force=True)
    (run,) = site.until_project("ulm", phase="Succeeded")["runs"]
    assert run["attempts"] == 2
