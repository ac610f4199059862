"""What traffic-flow says to somebody who gave it nonsense."""

from __future__ import annotations

import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed: `make setup` provides it")
pytest.importorskip("traffic", reason="traffic-flow is not installed: `make setup` provides it")

from traffic.errors import ParameterError, StageError
from traffic.parameters import number, number_or_auto, whole_number
from traffic.stage import stage_from

PLACES = {"WINSLOW_WORKSPACE": "work", "WINSLOW_OUTPUT": "output"}


@pytest.mark.parametrize("text", ["abc", "1.5", "-0.1", "nan", "inf", "0,5"])
def test_a_number_out_of_range_or_none_at_all_is_named_with_its_range(text: str) -> None:
    """NaN would pass a careless comparison."""
    with pytest.raises(ParameterError) as error:
        number({"THRESHOLD": text}, "THRESHOLD", 0.35, 0, 1)
    assert str(error.value) == f"THRESHOLD must be a number from 0 to 1, not '{text}'"
    assert error.value.exit_code == 2


@pytest.mark.parametrize("text", ["0", "2.5", "-1", "1e3", "²", "99999999999"])
def test_a_whole_number_is_whole_and_in_range(text: str) -> None:
    """int() alone would take more than we mean."""
    with pytest.raises(ParameterError, match="FRAME_STEP must be a whole number from 1 to 100, not"):
        whole_number({"FRAME_STEP": text}, "FRAME_STEP", 1, 1, 100)


def test_unset_and_empty_mean_the_default() -> None:
    """An empty value is how a form or a shell says nothing."""
    assert number({}, "THRESHOLD", 0.35, 0, 1) == 0.35
    assert whole_number({"FRAME_STEP": " "}, "FRAME_STEP", 2, 1, 100) == 2
    assert number_or_auto({"PIXELS_PER_METRE": "auto"}, "PIXELS_PER_METRE", 1, 9) is None
    assert number_or_auto({"PIXELS_PER_METRE": "4.5"}, "PIXELS_PER_METRE", 1, 9) == 4.5


def test_auto_is_mentioned_where_it_is_possible() -> None:
    """Else nobody learns of it from the error."""
    with pytest.raises(ParameterError, match="must be 'auto' or a number from 1 to 9, not 'x'"):
        number_or_auto({"PIXELS_PER_METRE": "x"}, "PIXELS_PER_METRE", 1, 9)


@pytest.mark.parametrize("text", ["clip.mp4", '{"a": 1}', "[1]"])
def test_inputs_that_are_no_list_of_paths_are_refused(text: str) -> None:
    """JSON, but also of the right form."""
    with pytest.raises(ParameterError, match="WINSLOW_INPUTS must be a JSON list of paths"):
        stage_from({**PLACES, "WINSLOW_INPUTS": text})


@pytest.mark.parametrize(("inputs", "found"), [("[]", "none"), ('["a.mp4", "b.avi", "c.txt"]', "a.mp4, b.avi")])
def test_exactly_one_video_is_needed(inputs: str, found: str) -> None:
    """Other inputs may stand beside it."""
    with pytest.raises(StageError, match=f"one video is needed, found {found}: declare exactly one"):
        stage_from({**PLACES, "WINSLOW_INPUTS": inputs}).video()
