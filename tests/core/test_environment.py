"""Seven levels of environment: the stronger wins, null unsets, and each value remembers where it came from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.desired import Environment, Secret, Site, StageOverride
from reconciler.core.environment import Setting, merge, run_environment
from tests.fakes.build import a_desired, a_next, a_pipeline, a_project, a_stage

SOURCES = [
    "winslow.yaml",
    "pipelines/flow.yaml",
    "pipelines/flow.yaml stage detect",
    "projects/_defaults.yaml",
    "projects/ulm/_defaults.yaml",
    "projects/ulm/crossing.yaml",
    "projects/ulm/crossing.yaml stage detect",
    "projects/ulm/crossing.yaml next",
]


def merged(*levels: Environment) -> dict[str, Setting]:
    """The run's environment with these levels, weakest first."""
    padded: list[Environment] = [*levels, *({} for _ in range(8 - len(levels)))]
    site, pipeline, stage, outer, inner, project, override, request = padded
    a = a_stage("detect", environment=stage)
    p = a_project(
        "crossing",
        path="projects/ulm/crossing.yaml",
        defaults=((SOURCES[3], outer), (SOURCES[4], inner)),
        environment=project,
        stages={a.name: StageOverride(environment=override)},
    )
    flow = a_pipeline(a, environment=pipeline)
    desired = a_desired(p, pipeline=flow, site=Site(environment=site))
    return dict(run_environment(desired, flow, a, p, a_next("detect", environment=request)))


@pytest.mark.parametrize("strongest", range(8))
def test_the_strongest_level_that_sets_a_variable_wins(strongest: int) -> None:
    levels: list[Environment] = [{"X": str(level)} if level <= strongest else {} for level in range(8)]
    assert merged(*levels) == {"X": Setting(str(strongest), SOURCES[strongest])}


@pytest.mark.parametrize("level", range(1, 8))
def test_null_unsets_what_weaker_levels_set_and_no_more(level: int) -> None:
    levels: list[Environment] = [{"X": "weak"}, *({} for _ in range(7))]
    levels[level] = {"X": None}
    assert merged(*levels) == {}
    if level < 7:
        levels[7] = {"X": "again"}
        assert merged(*levels) == {"X": Setting("again", SOURCES[7])}


def test_another_stages_settings_do_not_count() -> None:
    flow = a_pipeline(a_stage("detect"), a_stage("track", environment={"X": "track"}))
    project = a_project(stages={flow.stages[1].name: StageOverride(environment={"Y": "track"})})
    assert run_environment(a_desired(project, pipeline=flow), flow, flow.stages[0], project, None) == {}


def test_a_secret_stays_a_name() -> None:
    assert merged({"LICENCE": Secret("tracker")}) == {"LICENCE": Setting(Secret("tracker"), "winslow.yaml")}


@given(st.lists(st.dictionaries(st.sampled_from("ABC"), st.none() | st.text(max_size=2)), max_size=5))
def test_merging_is_applying_one_level_after_the_other(levels: list[Any]) -> None:
    whole = merge((str(number), level) for number, level in enumerate(levels))
    expected: dict[str, str] = {}
    for level in levels:
        expected = {name: value for name, value in {**expected, **level}.items() if value is not None}
    assert {name: setting.value for name, setting in whole.items()} == expected
    assert list(whole) == sorted(whole)
