"""What to add to ``git push <url>`` so that a branch arrives together with a merge request, where the remote can.

No API and no token: GitLab reads push options, Forgejo and Gitea open a request for what is pushed to
``refs/for/<target>`` (AGit). A commit whose message is the title, an empty line and the description serves
everywhere: Forgejo and Gitea take the description from there, and so does who merges a plain branch.
"""

UNSUPPORTED = "the receiving end does not support push options"
"""Git's words, in English, when a server takes no options; push ``push_arguments(None, ...)`` then."""

TITLE = 200  # characters; forges take 255
DESCRIPTION = 8_000  # a push option travels in one packet of 64 KiB
AGIT = ("forgejo", "gitea")


def push_arguments(
    kind: str | None, *, branch: str, target: str, title: str, description: str, commit: str
) -> list[str]:
    """Options and refspecs for ``git push <url>``; ``kind`` is ``forge.kind``, None a plain remote.

    The same arguments serve a new request and one that the push brings up to date.
    """
    refspecs = [f"{commit}:refs/heads/{branch}"]
    named = one_line(title, TITLE) or branch
    options: list[str] = []
    if kind == "gitlab":
        lines = [line.replace(r"\n", r"\ n") for line in _lines(description, DESCRIPTION)]
        said = r"\n".join(lines)  # GitLab's line break: nothing that a program logged may become one
        options = ["create", f"target={target}", f"title={named}", f"description={said}", "remove_source_branch"]
        options = [f"merge_request.{option}" for option in options]
    elif kind in AGIT:
        options = [f"topic={branch}", f"title={named}", "force-push=true"]
        refspecs.append(f"{commit}:refs/for/{target}")
    return [*(f"--push-option={option}" for option in options), *refspecs]


def one_line(text: str, limit: int) -> str:
    return " ".join(_lines(text, limit)).strip()


def _lines(text: str, limit: int) -> list[str]:
    """Lines of printable characters: no argument of a command can hold others, and no push option a line break."""
    whole = text if len(text) <= limit else text[: limit - 3] + "..."
    return ["".join(char if char.isprintable() else "\ufffd" for char in line) for line in whole.splitlines()]
