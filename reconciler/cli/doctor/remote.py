"""The state repository: can it be read, is what it says well, may we push what nodes push?"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.git import GitSource, StateRepository
from reconciler.adapters.git.noted import NotedRecords
from reconciler.adapters.git.remote import explain, redacted
from reconciler.adapters.share import SharedDirectory
from reconciler.cli.doctor.finding import Examination, Finding, note, ok, problem, warning
from reconciler.cli.findings import counted
from reconciler.codec.desired import load
from reconciler.config import NodeConfig
from reconciler.core.desired import Desired
from reconciler.core.ledger_behind import missing, told
from reconciler.core.problems import Severity

AREA = "git"
OFTEN = timedelta(seconds=5)


def examinations(config: NodeConfig, repository: StateRepository) -> list[Examination]:
    return [
        Examination(area=AREA, name="the state repository", look=lambda: readable(config, repository)),
        Examination(area=AREA, name="pushing", look=lambda: pushable(repository)),
        Examination(area="share", name="the ledger", look=lambda: ledger(config.share, repository)),
    ]


def readable(config: NodeConfig, repository: StateRepository) -> Sequence[Finding]:
    fetched = GitSource(repository, load).fetch()
    if fetched.error:
        return [problem(AREA, f"{redacted(config.state_url)}: {fetched.error}")]
    if fetched.desired is None:
        return [problem(AREA, f"{redacted(config.state_url)} has no commit on {config.branch}", "push a first one")]
    return [
        ok(AREA, f"{redacted(config.state_url)} answers; {config.branch} is at {fetched.desired.commit[:10]}"),
        *_content(config, fetched.desired),
    ]


def _content(config: NodeConfig, desired: Desired) -> list[Finding]:
    found = []
    if errors := [one for one in desired.problems if one.severity is Severity.ERROR]:
        first = f"{counted(len(errors), 'error')} in its files; the first: {errors[0]}"
        found.append(warning(AREA, first, "winslow validate shows all; each broken file keeps its last good version"))
    policy = desired.nodes.get(config.name)
    if policy is not None and policy.drained:
        found.append(note(AREA, f"nodes/{config.name}.yaml says drained: this node claims nothing"))
    if config.poll < OFTEN:
        found.append(note(AREA, f"poll: {config.poll.total_seconds():g}s asks the server often; a hook is quicker"))
    return found


def pushable(repository: StateRepository) -> Sequence[Finding]:
    """A push that changes nothing: the server asks who we are before it says what it would do."""
    observed = repository.observed_branch
    commit = repository.observed_head() or repository.newest()
    if commit is None:
        return []
    result = repository.git.run(
        *("push", "--dry-run", "--porcelain", "--no-verify", "--", repository.url),
        f"{commit}:refs/heads/{observed}",
    )
    if result.code != 0 and "non-fast-forward" not in result.text and "fetch first" not in result.text:
        return [
            problem(
                AREA,
                f"this node may not push to the repository: {explain(result.err)}",
                f"allow its identity to push {observed} and proposals/*, and never {repository.branch}",
            )
        ]
    return [ok(AREA, f"this node may push; it needs {observed} and proposals/* alone: protect {repository.branch}")]


def ledger(share: Path, repository: StateRepository) -> Sequence[Finding]:
    """Does the share hold what has been published of it? What was published is read first: the ledger only grows."""
    noted = NotedRecords(repository).noted()
    if lacking := missing(SharedDirectory(share).read(), noted):
        return [problem("share", f"no node claims anything: {told(lacking)}")]
    return [ok("share", "its ledger holds all that has been published")]
