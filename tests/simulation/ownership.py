"""Who may write where on the share."""

import re

from reconciler.core.names import ProjectName, RunNumber
from reconciler.core.records import Claim
from tests.simulation.facts import CLAIM_FILES, Facts, Violation
from tests.simulation.machine import Machine

COMMON = re.compile(r"(tmp|locks|marks|retired|resources|trash|site)(/.*)?|winslow\.json|projects|nodes")
PROJECT = re.compile(r"projects/[^/]+(/(records|init|input|output|runs|patch)(/[^/]*)?)?")
RUN = re.compile(r"projects/[^/]+/runs/[^/]+(/records(/\d{8}\.json)?)?")
OUTPUT = re.compile(r"projects/[^/]+/output/.+")
NODE = re.compile(r"nodes/([^/]+)(/.*)?")


def may_write(facts: Facts, machine: Machine, path: str) -> None:
    """Everybody writes records, drafts and outputs; else a machine writes only for its own node and its own claims."""
    if COMMON.fullmatch(path) or PROJECT.fullmatch(path) or RUN.fullmatch(path) or OUTPUT.fullmatch(path):
        return
    if found := NODE.fullmatch(path):
        _holds(found[1] == machine.node, f"{machine.name} writes {path}")
        return
    found = CLAIM_FILES.fullmatch(f"{path}/" if re.fullmatch(r".*/\d+", path) else path) or CLAIM_FILES.fullmatch(
        f"{path}/."
    )
    if found is None:
        raise Violation(f"{machine.name} writes {path}, where nobody has anything to write")
    project, run, number = ProjectName(found[1]), RunNumber(int(found[2])), int(found[3])
    known = facts.history(project).run(run)
    if known is None:
        return  # a run of a project that was purged meanwhile: into what was taken away, or is about to be
    claim = known.records[number - 1] if len(known.records) >= number else None
    _holds(isinstance(claim, Claim), f"{machine.name} writes {path}, and no claim has that number")
    if isinstance(claim, Claim):
        _holds(facts.claimed[claim.token][0] is machine, f"{machine.name} writes {path} of another machine's claim")
        its_end = known.records[number] if len(known.records) > number else None
        _holds(type(its_end).__name__ != "Done", f"{machine.name} writes {path}, which was accepted and is sealed")


def _holds(condition: object, what: str) -> None:
    if not condition:
        raise Violation(what)
