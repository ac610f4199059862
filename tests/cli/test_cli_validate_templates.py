"""What ``init`` writes for CI, for hooks and for editors does what it says: its very lines are run here."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from reconciler.cli.git import commit, git
from reconciler.cli.init import write_template
from reconciler.codec.editors import schema_line
from reconciler.codec.files import Place, placed
from reconciler.codec.validate import Kind

CHECKOUT = Path(__file__).resolve().parents[2]
BROKEN = "pipeline: traffic-flow\nprioritty: 3\n"
LABEL = "# yaml-language-server: $schema="


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A new state repository with a broken project on a branch."""
    made = tmp_path / "state"
    write_template(made)
    git(made, "init", "--quiet", "-b", "main")
    commit(made, "Begin", ".", anonymous=True)
    (made / "projects/ulm.yaml").write_text(BROKEN)
    commit(made, "Break", ".", anonymous=True)
    return made


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A job's environment: a fresh Python whose pip has no network, and only borrows what Winslow depends on."""
    venv = tmp_path_factory.mktemp("job") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    (packages,) = (venv / "lib").glob("python3*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WINSLOW_", "PYTHON", "VIRTUAL"))}
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_IGNORE_INSTALLED": "1"}
    path = f"{venv / 'bin'}:{kept['PATH']}"
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    return {**kept, **offline, **quiet, "PATH": path, "WINSLOW_SOURCE": str(CHECKOUT)}


def job(state: Path, lines: list[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    """As a runner does it: one shell, ended by the first line that fails."""
    ended = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)],
        cwd=state,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def gitlab(state: Path) -> Any:
    return yaml.safe_load((state / ".gitlab-ci.yml").read_text())


def github(state: Path) -> Any:
    return yaml.safe_load((state / ".github/workflows/validate.yml").read_text())


def test_the_gitlab_job_installs_winslow_and_leaves_a_report(state: Path, runner: Mapping[str, str]) -> None:
    whole = gitlab(state)
    begin = git(state, "rev-parse", "HEAD^")
    code, _, said = job(state, whole["validate"]["script"], {**runner, "CI_MERGE_REQUEST_DIFF_BASE_SHA": begin})
    assert code == 1, said
    assert "projects/ulm.yaml:2:1: unknown field 'prioritty'; did you mean 'priority'? [new]" in said
    report = whole["validate"]["artifacts"]["reports"]["codequality"]
    (entry,) = json.loads((state / report).read_text())
    assert entry["location"]["path"] == "projects/ulm.yaml"
    check = [line for line in whole["validate"]["script"] if line.startswith("winslow")]
    code, _, said = job(state, check, runner)
    assert (code, said.splitlines()[-1]) == (1, "1 error"), "on main there is no merge request to compare with"


def test_the_github_job_annotates_what_a_pull_request_breaks(state: Path, runner: Mapping[str, str]) -> None:
    steps = github(state)["jobs"]["validate"]["steps"]
    runs = [step for step in steps if "run" in step]
    assert runs[0]["run"] == 'pip install --quiet "$WINSLOW_SOURCE"'
    install = job(state, [runs[0]["run"]], runner)
    assert install[0] == 0, install[2]
    assert list(runs[1]["env"]) == ["BASE"]
    for base, words in ((git(state, "rev-parse", "HEAD^"), "1 new error"), ("", "1 error")):
        code, said, _ = job(state, [runs[1]["run"]], {**runner, "BASE": base})
        assert code == 1
        assert said.splitlines() == [
            "::error file=projects/ulm.yaml,line=2,col=1::unknown field 'prioritty'; did you mean 'priority'?",
            words,
        ]


def test_jobs_have_the_history_that_they_compare_with(state: Path) -> None:
    assert gitlab(state)["variables"]["GIT_DEPTH"] == "0"
    checkout = github(state)["jobs"]["validate"]["steps"][0]
    assert (checkout["uses"], checkout["with"]["fetch-depth"]) == ("actions/checkout@v4", 0)


def test_the_pre_commit_hook_refuses_what_is_staged(state: Path, runner: Mapping[str, str]) -> None:
    (entry,) = yaml.safe_load((state / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert (entry["language"], entry["pass_filenames"]) == ("system", False)
    (state / "projects/other.yaml").write_text(BROKEN)
    git(state, "add", ".")
    program = [sys.executable, "-m", "reconciler.cli.main", *entry["entry"].split()[1:]]
    ended = subprocess.run(program, cwd=state, env=dict(runner), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("projects/other.yaml:2:1: ")
    assert "projects/ulm.yaml" not in ended.stderr, "that was committed before"


# --- editors -------------------------------------------------------------------------------------


def shown_in(page: Path) -> list[str]:
    """YAML blocks of a page."""
    return [part.split("```")[0] for part in page.read_text().split("```yaml\n")[1:]]


def examples(state: Path) -> dict[str, str]:
    """Files that ``init`` writes or shows, by the path at which they (would) lie."""
    found = {path: (state / path).read_text() for path in ("winslow.yaml", "pipelines/traffic-flow.yaml")}
    project, _, defaults = shown_in(state / "projects/README.md")
    (node,) = shown_in(state / "nodes/README.md")
    return {
        **found,
        "projects/ulm/flight-07.yaml": project,
        "projects/ulm/_defaults.yaml": defaults,
        "nodes/lab-2.yaml": node,
    }


def as_an_editor_reads(schema: Path) -> Draft202012Validator:
    """By plain JSON Schema, following references from file to file; unknown keywords are passed over."""

    def retrieve(uri: str) -> Resource[Any]:
        path = Path(uri.removeprefix("file://"))
        return DRAFT202012.create_resource(json.loads(path.read_text()))

    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    return Draft202012Validator({"$ref": f"file://{schema}"}, registry=registry)


def test_every_file_leads_editors_to_its_schema_and_passes_it(state: Path) -> None:
    kinds = set()
    for path, text in examples(state).items():
        first = text.splitlines()[0]
        place = placed(path)
        assert isinstance(place, Place)
        assert first == schema_line(place.kind, path)
        schema = ((state / path).parent / first.removeprefix(LABEL)).resolve()
        assert schema.is_relative_to(state.resolve())
        validator = as_an_editor_reads(schema)
        assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == [], path
        assert list(validator.iter_errors({"no-such-field": 1})), f"{path}: the schema can refuse"
        kinds.add(place.kind)
    assert kinds == set(Kind) - {Kind.NODE_CONFIG}


def test_editors_own_keywords_hurt_no_other_reader(state: Path) -> None:
    """``patternErrorMessage`` is the YAML language server's; every schema stays a valid schema."""
    texts = {path.name: path.read_text() for path in (state / ".winslow/schemas").glob("*.schema.json")}
    assert "patternErrorMessage" in "".join(texts.values())
    for name, text in texts.items():
        Draft202012Validator.check_schema(json.loads(text))
        assert json.loads(text)["$schema"] == "https://json-schema.org/draft/2020-12/schema", name
