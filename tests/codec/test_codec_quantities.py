from datetime import timedelta

import pytest

from reconciler.codec.quantities import duration, memory
from reconciler.codec.validate import Kind, validate
from reconciler.codec.yaml import compose


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1m30s", 90), ("36h", 129_600), ("1.5h", 5400), ("2d", 172_800), ("0s", 0), ("0.25s", 0.25)],
)
def test_a_duration_is_its_seconds(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GiB", 8 << 30), ("512MiB", 512 << 20), ("1GB", 10**9), ("1.5 KiB", 1536), ("100B", 100), ("2TiB", 2 << 40)],
)
def test_a_size_is_its_bytes(text: str, size: int) -> None:
    assert memory(text) == size


@pytest.mark.parametrize(
    "text", ["36", '""', "h", "1h2d", "1 h", "-1s", "0s", "1e3s", "9999999d", "1week", '"1s\\n"', "٣s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    document = compose(f"stages: [{{name: a, image: x, timeout: {text}}}]".encode(), "f.yaml")
    (problem,) = validate(Kind.PIPELINE, document, "f.yaml")
    assert problem.message.startswith(
        "timeout must be a duration above zero with units, such as 90s, 1m30s or 36h, not "
    )


@pytest.mark.parametrize("text", ["8", "8.0", "8G", "8Gi", "GiB", "-1GiB", "0GiB", "8gib", "9999999999B", "1iB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    document = compose(f"stages: [{{name: a, image: x, shm_size: {text}}}]".encode(), "f.yaml")
    (problem,) = validate(Kind.PIPELINE, document, "f.yaml")
    assert problem.message.startswith("shm_size must be a size above zero with its unit, such as 512MiB or 8GiB, not ")
