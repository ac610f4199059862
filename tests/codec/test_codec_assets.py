import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconciler import assets
from reconciler.codec.desired import load
from reconciler.codec.directory import DirectoryTree
from reconciler.core.problems import Severity
from reconciler.errors import WinslowError


@pytest.mark.parametrize("path", sorted(assets.asset("schemas").glob("*.json")), ids=lambda path: path.name)
def test_a_schema_is_one(path: Path) -> None:
    Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_the_template_is_valid_and_holds_a_pipeline() -> None:
    desired = load(DirectoryTree(assets.asset("state-repo-template")))
    assert desired.problems == ()
    assert [stage.name for stage in desired.pipelines["traffic-flow"].stages] == ["detect", "track", "report"]  # type: ignore[index]


def test_the_templates_pipeline_is_the_examples() -> None:
    template = (assets.asset("state-repo-template") / "pipelines/traffic-flow.yaml").read_text()
    example = (assets.asset("examples/traffic-flow") / "pipeline.yaml").read_text()
    assert template.partition("\n")[2] == example


def test_everything_that_the_template_shows_is_valid(tmp_path: Path) -> None:
    template = assets.asset("state-repo-template")
    site = (template / "winslow.yaml").read_text()
    assert "# forge:" in site
    lines = [line.removeprefix("# ") if re.match(r"# +(- )?[A-Za-z_]+:", line) else line for line in site.splitlines()]
    (tmp_path / "winslow.yaml").write_text("\n".join(lines))
    flow = (template / "pipelines/traffic-flow.yaml").read_text()
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/traffic-flow.yaml").write_text(flow)
    shown: dict[str, list[str | None]] = {"projects": ["ulm.yaml", None, "_defaults.yaml"], "nodes": ["lab-2.yaml"]}
    for name, paths in shown.items():
        (tmp_path / name).mkdir()
        blocks = (template / name / "README.md").read_text().split("```yaml\n")[1:]
        for path, block in zip(paths, blocks, strict=True):
            if path:
                (tmp_path / name / path).write_text(block.partition("```")[0])
    desired = load(DirectoryTree(tmp_path))
    assert [problem for problem in desired.problems if problem.severity is Severity.ERROR] == []
    assert desired.site.tag_limits, "the examples were read"
    assert (set(desired.projects), set(desired.nodes)) == ({"ulm"}, {"lab-2"})
    assert desired.site.forge is not None


def test_an_installation_that_lacks_an_asset_says_so() -> None:
    with pytest.raises(WinslowError, match="lacks its nonsense; install the package again"):
        assets.asset("nonsense")
