"""Reports for forges: GitLab's code quality, by the fields its documentation names, and GitHub's annotations."""

import pytest
from jsonschema import Draft202012Validator

from reconciler.codec.reports import annotation, code_quality
from reconciler.codec.review import Finding
from reconciler.core.problems import Problem, Severity

GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "location", "severity"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!/|\\./)"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                        "additionalProperties": False,
                    },
                },
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    },
}
"""https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format"""


def a_finding(message: str = "wrong", *, new: bool = True, **fields: object) -> Finding:
    defaults: dict[str, object] = {"file": "projects/ulm.yaml", "line": 3, "column": 5}
    return Finding(Problem(message=message, **{**defaults, **fields}), new)  # type: ignore[arg-type]


def test_a_report_has_the_shape_that_gitlab_documents() -> None:
    findings = [a_finding(), a_finding(severity=Severity.WARNING), a_finding(line=9, new=False)]
    report = code_quality(findings)
    assert list(Draft202012Validator(GITLAB).iter_errors(report)) == []
    assert [entry["severity"] for entry in report] == ["major", "minor", "major"]
    assert [entry["location"]["lines"]["begin"] for entry in report] == [3, 3, 9]


def test_the_written_down_shape_can_refuse() -> None:
    report = code_quality([a_finding(file="/builds/state/projects/ulm.yaml")])
    assert list(Draft202012Validator(GITLAB).iter_errors(report))


def test_nothing_found_is_an_empty_array() -> None:
    assert code_quality([]) == []


def test_a_fingerprint_survives_lines_above_it_and_is_given_once() -> None:
    """GitLab compares two commits by it, and shows only the first of two that are equal."""
    here, lower = (code_quality([a_finding(line=line)])[0]["fingerprint"] for line in (3, 30))
    assert here == lower
    prints = [entry["fingerprint"] for entry in code_quality([a_finding(), a_finding(line=8), a_finding("other")])]
    assert len(set(prints)) == 3


def test_an_annotation_names_the_place() -> None:
    assert annotation(a_finding()) == "::error file=projects/ulm.yaml,line=3,col=5::wrong"
    assert annotation(a_finding(severity=Severity.WARNING)).startswith("::warning file=")
    assert annotation(a_finding(new=False)).startswith("::notice file="), "it was there before"


@pytest.mark.parametrize(
    ("file", "shown"), [("a,b.yaml", "a%2Cb.yaml"), ("a:b.yaml", "a%3Ab.yaml"), ("a%b\n.yaml", "a%25b%0A.yaml")]
)
def test_no_file_name_ends_an_annotations_properties(file: str, shown: str) -> None:
    assert annotation(a_finding(file=file)) == f"::error file={shown},line=3,col=5::wrong"


def test_no_message_begins_another_command() -> None:
    told = annotation(a_finding("100 %, a:b\r\n::stop-commands::x"))
    assert told.endswith("::100 %25, a:b%0D%0A::stop-commands::x")
    assert "\n" not in told
