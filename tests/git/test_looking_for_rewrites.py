"""What a person is asked to accept: what nodes hold and projects name, whatever the clone at hand has seen."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.git import StateRepository
from reconciler.adapters.share import SharedDirectory
from reconciler.cli.rewrite_shown import picture
from reconciler.codec.heartbeat import WorksFrom, works_from
from reconciler.core.ledger import ProjectHistory, Retired
from reconciler.core.names import Commit, NodeName, ProjectName, RecordNumber, RunNumber, Token
from reconciler.core.records import Deleted, RewriteAccepted
from reconciler.errors import SourceUnavailable
from reconciler.readers.rewritten import look_for_rewrite
from tests.fakes.build import CROSSING, A, a_node, a_seen, header
from tests.git.conftest import Forge

Clone = Callable[..., StateRepository]


class Site:
    """A share with one node, and a history of which the last commit was replaced."""

    def __init__(self, forge: Forge, root: Path) -> None:
        SharedDirectory.create(root)
        self.share = SharedDirectory(root, writer="test")
        forge.save("winslow.yaml", "version: 1\n")
        self.old = Commit(forge.save("winslow.yaml", "version: 1\n# more\n"))
        forge.git("commit", "-q", "--amend", "-m", "rewritten")
        forge.push("main", "--force")
        self.new = Commit(forge.head("main"))
        self.share.publish_node(a_node("a").record)

    def beat(self, commit: Commit, followed: str | None = None) -> None:
        heartbeat = self.share.heartbeat(A, "a-1")
        heartbeat.beat(WorksFrom(commit, Token(followed) if followed else None).facts())
        heartbeat.close()

    def accept(self, head: Commit, *superseded: Commit) -> RewriteAccepted:
        record = RewriteAccepted(**header(len(self.share.read().site) + 1), head=head, superseded=superseded)
        assert self.share.publish_site(record)
        return record


@pytest.fixture
def site(forge: Forge, tmp_path: Path) -> Site:
    return Site(forge, tmp_path / "share")


def test_a_new_clone_learns_from_heartbeats_what_is_held(forge: Forge, clone_of: Clone, site: Site) -> None:
    site.beat(site.old)
    found = look_for_rewrite(clone_of(forge.url), site.share)
    assert (found.is_open, found.head, found.held) == (True, site.new, {site.old: (NodeName("a"),)})
    assert found.superseded == (site.old,)


def test_what_was_deleted_or_purged_before_does_not_count_as_deleted_by_the_new_history(
    forge: Forge, clone_of: Clone, site: Site
) -> None:
    repository = clone_of(forge.url)
    site.beat(site.old)
    found = look_for_rewrite(repository, site.share)
    purged = ProjectHistory(retired=Retired(record=RecordNumber(4), run=RunNumber(2), commit=site.old))
    deleted = ProjectHistory(records=(a_seen(1), Deleted(**header(2), commit=site.old)))
    standing = ProjectHistory(records=(a_seen(1),))
    projects = {CROSSING: standing, ProjectName("deleted"): deleted, ProjectName("purged"): purged}
    shown = picture(repository, "main", replace(found, ledger=replace(found.ledger, projects=projects)))
    assert [line.plain for line in shown][-1] == "projects that would count as deleted: crossing"


def test_projects_that_name_a_lost_commit_are_enough(forge: Forge, clone_of: Clone, site: Site) -> None:
    """All nodes may be new as well."""
    site.beat(site.new)
    site.share.publish_project(CROSSING, a_seen(1, commit=site.old))
    found = look_for_rewrite(clone_of(forge.url), site.share)
    assert (found.is_open, found.held, found.missing) == (True, {}, {site.old: (CROSSING,)})
    site.accept(site.new, *found.superseded)
    assert not look_for_rewrite(clone_of(forge.url), site.share).is_open


def test_a_history_that_lost_nothing_leaves_nothing_to_accept(forge: Forge, clone_of: Clone, site: Site) -> None:
    site.beat(site.new)
    site.share.publish_project(CROSSING, a_seen(1, commit=site.new))
    found = look_for_rewrite(clone_of(forge.url), site.share)
    assert (found.is_open, found.superseded) == (False, ())


def test_a_node_that_has_yet_to_follow_asks_for_nothing(forge: Forge, clone_of: Clone, site: Site) -> None:
    site.beat(site.old)
    accepted = site.accept(site.new, site.old)
    repository = clone_of(forge.url)
    assert not look_for_rewrite(repository, site.share).is_open
    site.beat(site.old, followed=accepted.token)  # it has gone along, and main was rewritten once more
    assert look_for_rewrite(repository, site.share).is_open


def test_a_head_without_the_accepted_one_is_to_be_accepted_whoever_holds_what(
    forge: Forge, clone_of: Clone, site: Site
) -> None:
    site.accept(site.new, site.old)
    forge.git("commit", "-q", "--amend", "-m", "again")
    forge.push("main", "--force")
    site.beat(Commit(forge.head("main")))
    found = look_for_rewrite(clone_of(forge.url), site.share)
    assert (found.is_open, found.missing) == (True, {site.new: ()})


def test_a_remote_that_is_away_is_an_error(forge: Forge, clone_of: Clone, site: Site) -> None:
    repository = clone_of(forge.url)
    repository.fetch_head()
    forge.bare.rename(forge.bare.with_name("away.git"))
    with pytest.raises(SourceUnavailable, match=r"check state\.url"):
        look_for_rewrite(repository, site.share)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"commit": 7}', b'{"commit": "--upload-pack=x"}'])
def test_a_heartbeat_that_names_no_commit_is_passed_over(content: bytes | None) -> None:
    assert works_from(content) is None
