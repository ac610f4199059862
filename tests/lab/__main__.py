"""``python -m tests.lab``: make the lab, run scenarios, say what became of them. Exit code 1: a promise was broken."""

import argparse
import fcntl
import importlib
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.lab import report, requirements
from tests.lab.lab import Lab
from tests.lab.namespace import enter
from tests.lab.report import Row
from tests.lab.scenario import SCENARIOS, Options, Scenario, Told
from tests.lab.waiting import Broken

WORK = requirements.CHECKOUT / ".lab"


def main(arguments: Sequence[str]) -> int:
    for module in sorted((Path(__file__).parent / "scenarios").glob("*.py")):
        importlib.import_module(f"tests.lab.scenarios.{module.stem}")
    asked = _asked(arguments)
    if asked.list:
        for one in SCENARIOS.values():
            _say(f"{one.name:18} {'short' if one.in_short else '     '}  {one.promise}")
        return 0
    if why := requirements.missing():
        _say(why)
        return 2
    enter(arguments)
    options = Options(short=asked.short, ttl=asked.ttl, repeat=asked.repeat, storm=asked.storm)
    return _run(_chosen(asked), options, Path(asked.code).resolve())


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="run this scenario; may be repeated")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--short", action="store_true", help="the few for CI, without what a busy machine delays")
    parser.add_argument("--repeat", type=int, metavar="N", help="how often a figure is measured")
    parser.add_argument("--ttl", type=float, metavar="S", help="seconds, instead of the scenario's own")
    parser.add_argument("--storm", type=float, default=10.0, metavar="GB", help="how much the storm writes")
    parser.add_argument("--code", default=requirements.CHECKOUT, metavar="DIR", help="checkout that the nodes run")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.only or () if name not in SCENARIOS]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    return asked


def _chosen(asked: argparse.Namespace) -> list[Scenario]:
    if asked.only:
        return [SCENARIOS[name] for name in asked.only]
    return [one for one in SCENARIOS.values() if one.in_short or not asked.short]


def _run(chosen: Sequence[Scenario], options: Options, code: Path) -> int:
    began = time.monotonic()
    WORK.mkdir(exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("a lab of this checkout runs already: wait for its end, or use another clone")
            return 2
        return _play_all(chosen, options, code, began)


def _play_all(chosen: Sequence[Scenario], options: Options, code: Path, began: float) -> int:
    lab = Lab(WORK / "now", code)
    lab.switch_on()
    _say(f"lab: {len(lab.all)} machines are up after {time.monotonic() - began:.0f} s")
    rows = []
    for one in chosen:
        rows.append(_play(one, lab, options))
        report.write(rows, WORK)
        _say(f"{one.name}: {rows[-1].outcome} ({rows[-1].seconds:.0f} s) {rows[-1].found}")
    report.show(rows)
    _say(
        f"lab: {time.monotonic() - began:.0f} s in all; {WORK / 'report.md'}, and what was seen in {lab.work / 'kept'}"
    )
    return 0 if all(row.outcome == report.KEPT for row in rows) else 1


def _play(one: Scenario, lab: Lab, options: Options) -> Row:
    began, told, outcome = time.monotonic(), Told(), report.KEPT
    try:
        one.act(lab, options, told)
    except Broken as error:
        outcome = report.BROKEN
        told.say(str(error))
    except Exception as error:  # noqa: BLE001  # the next scenarios can still tell something
        outcome = report.FAILED
        told.say(f"{type(error).__name__}: {error}")
        traceback.print_exc()
    return Row(one.name, one.promise, outcome, time.monotonic() - began, told.text(), told.seconds)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
