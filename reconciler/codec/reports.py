"""Findings as other people's programs read them: GitLab's code quality reports, GitHub's annotations."""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from reconciler.codec.review import Finding
from reconciler.core.problems import Problem, Severity

CHECK = "winslow-validate"


def code_quality(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """GitLab compares the reports of two commits itself, by fingerprints: these know no line, and none is twice."""
    seen: Counter[tuple[str, str]] = Counter()
    entries = []
    for problem in (finding.problem for finding in findings):
        key = (problem.file, problem.message)
        entries.append(
            {
                "description": problem.message,
                "check_name": CHECK,
                "fingerprint": _fingerprint(problem, seen[key]),
                "severity": "major" if problem.severity is Severity.ERROR else "minor",
                "location": {"path": problem.file, "lines": {"begin": problem.line}},
            }
        )
        seen[key] += 1
    return entries


def _fingerprint(problem: Problem, nth: int) -> str:
    return sha256("\0".join((problem.file, problem.message, str(nth))).encode()).hexdigest()


def annotation(finding: Finding) -> str:
    """One line that GitHub's runner shows at the place in the change; what was there before is only a notice."""
    problem = finding.problem
    level = problem.severity.value if finding.new else "notice"
    place = f"file={_property(problem.file)},line={problem.line},col={problem.column}"
    return f"::{level} {place}::{_data(problem.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
