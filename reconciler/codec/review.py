"""A change of a state repository, looked at before anybody acts on it: what is wrong, and what of that is new."""

from dataclasses import dataclass

from reconciler.codec.changes import Side, Standing, changes
from reconciler.codec.desired import load
from reconciler.codec.parsed import Cache
from reconciler.codec.tree import StateTree
from reconciler.core.desired import Desired
from reconciler.core.problems import Problem, Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """``new``: the change made it, or touched the file and left it there. Without a change everything is new."""

    problem: Problem
    new: bool = True

    @property
    def counts(self) -> bool:
        """Does it make the change a bad one? Somebody else's fault elsewhere does not."""
        return self.new and self.problem.severity is Severity.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """``before`` is what there was; None where nothing is known to have been."""

    before: Desired | None
    after: Desired
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not any(finding.counts for finding in self.findings)


def review(before: StateTree | None, after: StateTree, standing: Standing) -> Review:
    """``standing`` is asked only for projects that the change touches."""
    cache = Cache()
    desired_before = load(before, cache) if before else None
    desired = load(after, cache)
    if before is None or desired_before is None:
        return Review(before=None, after=desired, findings=tuple(map(Finding, desired.problems)))
    known = {_what(problem) for problem in desired_before.problems}
    old, now = before.files(), after.files()
    found = [
        Finding(problem, _what(problem) not in known or old.get(problem.file) != now.get(problem.file))
        for problem in desired.problems
    ]
    made = changes(Side(before, desired_before), Side(after, desired), standing)
    findings = sorted([*found, *map(Finding, made)], key=lambda finding: finding.problem)
    return Review(before=desired_before, after=desired, findings=tuple(findings))


def _what(problem: Problem) -> tuple[str, str, Severity]:
    """A problem without its place: lines above it come and go."""
    return problem.file, problem.message, problem.severity
