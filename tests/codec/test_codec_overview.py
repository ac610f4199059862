"""README.md of the branch ``observed``: how a person on a phone answers."""

from reconciler.codec.overview import overview
from reconciler.core.desired import Confirm, Forge, Site
from reconciler.core.report import report
from tests.fakes.build import a_desired, a_ledger, a_node, a_pipeline, a_run, a_stage

URL = "https://forge.example/ulm/state"


def readme(forge: Forge | None) -> str:
    pipeline = a_pipeline("detect", a_stage("track", confirm=Confirm.BEFORE))
    desired = a_desired(pipeline=pipeline, site=Site(forge=forge))
    return overview(report(desired, a_ledger(a_run(1)), [a_node()], branch="main"))


def test_answers_are_links_where_a_forge_can_merge() -> None:
    found = readme(Forge(kind="github", url=URL))
    assert f"[Start stage 'track' after run 1]({URL}/compare/main...proposals/crossing/1-continue)" in found
    assert f"[Start stage 'detect' again after run 1]({URL}/compare/main...proposals/crossing/1-redo)" in found
    assert f"`next: {{stage: track, after: 1}}` [edit]({URL}/edit/main/projects/crossing.yaml)<br>" in found


def test_answers_are_branches_to_merge_where_there_is_no_forge() -> None:
    assert "<br>Start stage 'track' after run 1: merge `proposals/crossing/1-continue`" in readme(None)
