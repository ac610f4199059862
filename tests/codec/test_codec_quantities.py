from datetime import timedelta

import pytest

from reconciler.codec.quantities import duration, meant_size, memory
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


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("16 GB ", "16GB or 16GiB"),
        ("16gb", "16GB or 16GiB"),
        ("16G", "16GB or 16GiB"),
        ("16", "16GB or 16GiB"),
        (" 16 gib", "16GiB"),
        ("1,5 GB", "1.5GB or 1.5GiB"),
        ("16 GBytes", "16GB or 16GiB"),
        ("512m", "512MB or 512MiB"),
    ],
)
def test_a_size_in_another_spelling_is_offered_in_the_right_one(text: str, meant: str) -> None:
    document = compose(f'stages: [{{name: a, image: x, requires: {{memory: "{text}"}}}}]'.encode(), "f.yaml")
    (problem,) = validate(Kind.PIPELINE, document, "f.yaml")
    assert problem.message.endswith(f"; did you mean {meant}?")
    assert all(memory(size) > 0 for size in meant.split(" or "))


@pytest.mark.parametrize("text", ["lots", "8192", "0", "0GB", "16XB", "1 2GB"])
def test_nothing_is_offered_for_what_may_mean_anything(text: str) -> None:
    assert meant_size(text) == ""
