"""What a person reads before merging a proposal: in the merge request, and as the message of its commit."""

from collections.abc import Iterator

from reconciler.core.ledger import RunPhase
from reconciler.core.merge_request import one_line
from reconciler.core.proposals import Proposal
from reconciler.core.status import ProjectStatus, RunStatus

LINES = 10  # of a log
WIDTH = 200
ENDS = {
    RunPhase.SUCCEEDED: "succeeded",
    RunPhase.FAILED: "failed",
    RunPhase.ABORTED: "was aborted",
    RunPhase.LOST: "was lost for good",
}


def subject(proposal: Proposal) -> str:
    return f"{proposal.project}: {proposal.title[0].lower()}{proposal.title[1:]}"


def described(proposal: Proposal, project: ProjectStatus) -> str:
    """Markdown. What programs wrote stands in indented blocks, where forges read neither markup nor commands."""
    run = next((run for run in project.runs if run.run == proposal.run), None)
    waits = project.waiting_for.message if project.waiting_for else ""
    paragraphs = [one_line(waits, 1000), *(_ended(run) if run else ()), _effect(proposal)]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _ended(run: RunStatus) -> Iterator[str]:
    told = f"Run {run.run} ({run.stage}) {ENDS.get(run.phase, 'ended')}"
    told += f" on {run.node}" if run.node else ""
    if run.started_at and run.ended_at:
        told += f" after {str(run.ended_at - run.started_at).partition('.')[0]}"
    yield told + (f", exit code {run.exit_code}." if run.exit_code is not None else ".")
    if run.results:
        yield "Its results:\n\n" + _block(f"{name}={value}" for name, value in run.results.items())
    places = {"workspace": run.workspace, "output": run.output, "log": run.log}
    if any(places.values()):
        yield "Its files on the share:\n\n" + _block(f"{what:10}{path}" for what, path in places.items() if path)
    if run.tail:
        yield "The last lines of its log:\n\n" + _block(run.tail[-LINES:])


def _block(lines: Iterator[str] | tuple[str, ...]) -> str:
    return "\n".join("    " + one_line(line, WIDTH) for line in lines)


def _effect(proposal: Proposal) -> str:
    last = f"run {proposal.run} is no longer the last one" if proposal.run else "anything has run"
    return (
        f"Merging this writes `{proposal.line}` into `{proposal.path}`. Late or twice it does no harm: once {last}, "
        "it starts nothing. To change something else with it, such as `environment`, add a commit of your own to this "
        "branch: Winslow then leaves it alone. Otherwise the branch is removed when the project has gone on."
    )
