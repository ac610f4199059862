"""What goes on the command line of ``git push``, one forge each."""

import pytest

from reconciler.core.merge_request import DESCRIPTION, TITLE, push_arguments

COMMIT = "c" * 40
BRANCH = "proposals/crossing/3-continue"


def arguments(kind: str | None, title: str = "Start stage 'track'", description: str = "Run 3\nsucceeded") -> list[str]:
    return push_arguments(kind, branch=BRANCH, target="main", title=title, description=description, commit=COMMIT)


@pytest.mark.parametrize("kind", [None, "github", "something-new"])
def test_a_plain_remote_gets_the_branch_and_no_option(kind: str | None) -> None:
    assert arguments(kind) == [f"{COMMIT}:refs/heads/{BRANCH}"]


def test_gitlab_gets_push_options_with_line_breaks_as_it_wants_them() -> None:
    assert arguments("gitlab") == [
        "--push-option=merge_request.create",
        "--push-option=merge_request.target=main",
        "--push-option=merge_request.title=Start stage 'track'",
        r"--push-option=merge_request.description=Run 3\nsucceeded",
        "--push-option=merge_request.remove_source_branch",
        f"{COMMIT}:refs/heads/{BRANCH}",
    ]


@pytest.mark.parametrize("kind", ["forgejo", "gitea"])
def test_forgejo_and_gitea_get_the_branch_and_a_request_of_the_same_topic(kind: str) -> None:
    assert arguments(kind) == [
        f"--push-option=topic={BRANCH}",
        "--push-option=title=Start stage 'track'",
        "--push-option=force-push=true",
        f"{COMMIT}:refs/heads/{BRANCH}",
        f"{COMMIT}:refs/for/main",
    ]


@pytest.mark.parametrize("kind", ["gitlab", "forgejo"])
def test_whatever_somebody_wrote_fits_on_a_command_line(kind: str) -> None:
    """Git refuses line breaks in options, the kernel NUL bytes, and forges long titles."""
    found = arguments(kind, title="a\nb\0" + "x" * 999, description="one\r\ntwo\0\udc80\x1b[31m" + "y" * 99_999)
    assert not any(char in argument for argument in found for char in "\n\r\0\x1b\udc80")
    assert all(len(argument) < DESCRIPTION + 100 for argument in found)
    title = next(argument for argument in found if "title=" in argument).split("title=")[1]
    assert title.startswith("a b")
    assert len(title) <= TITLE
    assert title.endswith("...")


def test_no_logged_text_breaks_a_line_of_gitlabs_description() -> None:
    """A line that begins with a slash is a command to GitLab, unless it stands in a block of code."""
    found = arguments("gitlab", description=r"    C:\new\n/merge")
    assert r"--push-option=merge_request.description=    C:\ new\ n/merge" in found
