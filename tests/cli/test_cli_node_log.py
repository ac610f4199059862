"""What a node's own log may say."""

from collections.abc import Iterator

import pytest
import structlog

from reconciler.cli.node import log_to_stderr


@pytest.fixture(autouse=True)
def usual_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_traceback_shows_no_local_variables(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    log_to_stderr()
    try:
        _worker("-".join(["very", "secret"]))
    except RuntimeError:
        structlog.get_logger().exception("unexpected_fault", during="tick")
    said = capsys.readouterr().err
    assert "worker broke" in said
    assert "very-secret" not in said


def _worker(licence: str) -> None:
    raise RuntimeError("worker broke" if licence else "no licence")
