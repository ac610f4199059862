"""What a stage sees of Winslow."""

import json
from collections.abc import Callable

import pytest

from reconciler.core.containers import Order
from reconciler.core.nodes import Gpu
from reconciler.core.stage_environment import IN_CONTAINER, on_node, require_inputs, stage_environment
from reconciler.errors import StartFailed

OrderMaker = Callable[..., Order]


def test_a_container_sees_fixed_directories_and_its_inputs_in_them(make_order: OrderMaker) -> None:
    order = make_order(
        "true",
        inputs=("resources/ulm/a b.mp4", "input/zones.json"),
        cpus=2.5,
        gpus=(Gpu(uuid="GPU-1"), Gpu(uuid="GPU-2")),
    )
    seen = stage_environment(order, IN_CONTAINER)
    assert json.loads(seen["WINSLOW_INPUTS"]) == ["/resources/ulm/a b.mp4", "/input/zones.json"]
    assert (seen["WINSLOW_CPUS"], seen["WINSLOW_GPUS"]) == ("2", "GPU-1,GPU-2")
    assert (seen["WINSLOW_WORKSPACE"], seen["WINSLOW_OUTPUT"]) == ("/workspace", "/output")
    assert (seen["WINSLOW_PROJECT"], seen["WINSLOW_STAGE"], seen["WINSLOW_RUN"]) == ("ulm", "detect", "1")


def test_half_a_cpu_is_one_thread_and_the_attempt_is_told(make_order: OrderMaker) -> None:
    seen = stage_environment(make_order("true", cpus=0.5, attempt=3), IN_CONTAINER)
    assert (seen["WINSLOW_CPUS"], seen["WINSLOW_ATTEMPT"]) == ("1", "3")


def test_what_winslow_says_is_stronger_than_the_environment(make_order: OrderMaker) -> None:
    order = make_order("true", environment={"WINSLOW_RUN": "99", "THRESHOLD": "0.5"})
    seen = stage_environment(order, on_node(order))
    assert (seen["WINSLOW_RUN"], seen["THRESHOLD"]) == ("1", "0.5")
    assert seen["WINSLOW_OUTPUT"] == order.paths.output


def test_the_first_missing_input_is_named(make_order: OrderMaker) -> None:
    order = make_order("true", inputs=("resources/a", "input/b"))
    require_inputs(order, lambda path: True)
    with pytest.raises(StartFailed, match=r"'input/b'.*put it at .*/input/b"):
        require_inputs(order, lambda path: path.endswith("resources/a"))
