"""Rewritten history as one clone sees it: held, accepted once, followed by every clone, and held again next time."""

from collections.abc import Callable

import pytest

from reconciler.adapters.git import GitSource, GitTree, StateRepository
from reconciler.adapters.git.comparison import bring, compare, describe
from reconciler.core.desired import Desired
from reconciler.core.names import Commit
from reconciler.core.records import RewriteAccepted
from reconciler.errors import BadInput
from tests.fakes.build import header
from tests.git.conftest import Forge

Clone = Callable[..., StateRepository]


def acceptance(head: str, number: int = 1) -> RewriteAccepted:
    return RewriteAccepted(**header(number), head=Commit(head))


def amended(forge: Forge, message: str = "rewritten") -> str:
    """Another commit in place of the last one, force-pushed."""
    forge.git("add", "-A")
    forge.git("commit", "-q", "--amend", "--allow-empty", "-m", message)
    forge.push("main", "--force")
    return forge.head("main")


@pytest.fixture
def old(forge: Forge) -> str:
    forge.save("winslow.yaml", "version: 1\n")
    return forge.save("winslow.yaml", "version: 1\n# more\n")


def test_a_held_head_names_both_ways_to_go_on(forge: Forge, clone_of: Clone, old: str) -> None:
    repository = clone_of(forge.url)
    repository.fetch_head()
    new = amended(forge)
    head = repository.fetch_head()
    assert (head.commit, head.reason) == (old, "SourceRewritten")
    assert f"winslow accept-rewrite {new[:12]}" in head.error
    assert f"git merge -s ours {old[:12]}, and push" in head.error
    assert len(head.error) < 240, "a heartbeat would cut it"


def test_an_accepted_head_and_what_follows_it_are_gone_along_with(forge: Forge, clone_of: Clone, old: str) -> None:
    repository = clone_of(forge.url)
    assert repository.fetch_head().commit == old
    new = amended(forge)
    accepted = acceptance(new)
    head = repository.fetch_head([accepted])
    assert (head.commit, head.error, head.followed) == (new, "", accepted.token)
    newer = forge.save("winslow.yaml", "version: 1\n# newer\n")
    late = clone_of(forge.url, "late")
    assert late.fetch_head([accepted]).commit == newer
    assert repository.fetch_head([accepted]).commit == newer


def test_a_clone_of_weeks_ago_and_a_new_one_reach_the_same_commit(forge: Forge, clone_of: Clone, old: str) -> None:
    asleep, new = clone_of(forge.url, "asleep"), clone_of(forge.url, "new")
    assert asleep.fetch_head().commit == old
    first = acceptance(amended(forge), 1)
    forge.save("projects/a.yaml", "pipeline: x\n")
    second = acceptance(amended(forge, "again"), 2)
    for repository in (asleep, new):
        head = repository.fetch_head([first, second])
        assert (head.commit, head.error, head.followed) == (second.head, "", second.token)


def test_a_second_rewrite_has_to_be_accepted_again(forge: Forge, clone_of: Clone, old: str) -> None:
    repository = clone_of(forge.url)
    repository.fetch_head()
    first = acceptance(amended(forge), 1)
    repository.fetch_head([first])
    ahead = forge.save("winslow.yaml", "version: 1\n# ahead\n")
    repository.fetch_head([first])
    amended(forge, "this one descends from the accepted head as well")
    for look in (repository, clone_of(forge.url)):
        head = look.fetch_head([first])
        assert (head.commit, head.reason) == (ahead, "SourceRewritten")
    second = acceptance(forge.head("main"), 2)
    assert repository.fetch_head([first, second]).commit == second.head


def test_an_acceptance_lets_no_other_head_pass(forge: Forge, clone_of: Clone, old: str) -> None:
    repository = clone_of(forge.url)
    repository.fetch_head()
    accepted = acceptance(amended(forge))
    amended(forge, "somebody was quicker")
    head = repository.fetch_head([accepted])
    assert (head.commit, head.reason, head.followed) == (old, "SourceRewritten", None)


def test_a_clone_that_begins_after_the_accepted_head_was_lost_says_so(forge: Forge, clone_of: Clone, old: str) -> None:
    """It has nothing to hold, and must not pass for one that has gone along."""
    accepted = acceptance(amended(forge))
    third = amended(forge, "somebody was quicker")
    repository = clone_of(forge.url)
    for _ in range(2):
        head = repository.fetch_head([accepted])
        assert (head.commit, head.reason, head.followed) == (third, "SourceRewritten", None)
    assert f"does not descend from {accepted.head[:12]}" in head.error
    assert repository.fetch_head([accepted, acceptance(third, 2)]).error == ""


def test_going_back_to_an_ancestor_is_a_rewrite_too(forge: Forge, clone_of: Clone, old: str) -> None:
    """The old commit contains the new head, so descent alone can't tell who has gone along."""
    repository = clone_of(forge.url)
    repository.fetch_head()
    forge.git("reset", "-q", "--hard", "HEAD^")
    forge.push("main", "--force")
    back = forge.head("main")
    assert repository.fetch_head().reason == "SourceRewritten"
    accepted = acceptance(back)
    assert repository.fetch_head([accepted]).commit == back
    forge.git("reset", "-q", "--hard", old)
    forge.push()
    assert repository.fetch_head([accepted]).commit == old
    forge.git("reset", "-q", "--hard", back)
    forge.push("main", "--force")
    assert repository.fetch_head([accepted]).reason == "SourceRewritten", "accepted once is not accepted for ever"
    assert repository.fetch_head([accepted, acceptance(back, 2)]).commit == back


def test_who_keeps_both_needs_no_acceptance(forge: Forge, clone_of: Clone, old: str) -> None:
    repository = clone_of(forge.url)
    repository.fetch_head()
    amended(forge)
    repository.fetch_head()
    forge.git("merge", "-q", "-s", "ours", "-m", "keep", old)
    forge.push()
    head = repository.fetch_head()
    assert (head.commit, head.reason) == (forge.head("main"), "")


def test_what_was_followed_is_told_while_the_remote_is_away(forge: Forge, clone_of: Clone, old: str) -> None:
    repository = clone_of(forge.url)
    repository.fetch_head()
    accepted = acceptance(amended(forge))
    repository.fetch_head([accepted])
    forge.bare.rename(forge.bare.with_name("away.git"))
    head = clone_of(forge.url).fetch_head([accepted])
    assert (head.commit, head.reachable, head.followed) == (accepted.head, False, accepted.token)


def test_a_commit_that_cannot_be_read_counts_as_not_followed(forge: Forge, clone_of: Clone, old: str) -> None:
    """Else a node would act on the old files under the new acceptance."""

    def load(tree: GitTree) -> Desired:
        if tree.commit != old:
            raise BadInput("20,001 files")
        return Desired(commit=tree.commit)

    source = GitSource(clone_of(forge.url), load)
    source.fetch()
    found = source.fetch([acceptance(amended(forge))])
    assert found.desired is not None
    assert (found.desired.commit, found.reason, found.followed) == (old, "SourceUnreadable", None)


def test_two_commits_are_compared_and_described(forge: Forge, clone_of: Clone) -> None:
    forge.write("projects/gone.yaml", "a")
    old = Commit(forge.save("winslow.yaml", "version: 1\n"))
    repository = clone_of(forge.url)
    repository.fetch_head()
    forge.git("rm", "-q", "projects/gone.yaml")
    forge.write("projects/come.yaml", "b")
    forge.write("winslow.yaml", "version: 1\n# else\n")
    new = Commit(amended(forge, "Begin anew"))
    repository.fetch_head()
    found = compare(repository, old, new)
    assert (found.added, found.removed, found.changed) == (
        ("projects/come.yaml",),
        ("projects/gone.yaml",),
        ("winslow.yaml",),
    )
    words = describe(repository, new)
    assert words is not None
    assert (words.subject, words.author) == ("Begin anew", "Ada")


def test_a_commit_that_no_branch_leads_to_is_brought_while_the_remote_has_it(
    forge: Forge, served: str, clone_of: Clone, old: str
) -> None:
    """Who looks for the first time sees what is being left."""
    amended(forge)
    repository = clone_of(served)
    repository.fetch_head()
    assert describe(repository, Commit(old)) is None
    assert bring(repository, Commit(old))
    assert describe(repository, Commit(old)) is not None
    assert not bring(repository, Commit("1" * 40))
