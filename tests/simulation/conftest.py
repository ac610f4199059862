"""Seeds in chunks, so that xdist's workers share them; ``--seeds`` says how many, ``--seed`` names one."""

import pytest

CHUNK = 25


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" not in metafunc.fixturenames:
        return
    one, many = metafunc.config.getoption("--seed"), metafunc.config.getoption("--seeds")
    chunks = [range(first, min(first + CHUNK, many)) for first in range(0, many, CHUNK)]
    chosen = chunks if one is None else [range(one, one + 1)]
    metafunc.parametrize("seeds", chosen, ids=[f"{chunk[0]}-{chunk[-1]}" for chunk in chosen])
