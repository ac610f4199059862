"""The API that GitHub, Forgejo and Gitea share, and where they differ.

    POST  /repos/{owner}/{repo}/statuses/{sha}      state (pending, success, failure), context, description, target_url
    GET   /repos/{owner}/{repo}/pulls               state=open
    PATCH /repos/{owner}/{repo}/pulls/{number}      state=closed

Lists are paged by ``page`` with the header Link. Sources: docs.github.com/rest/commits/statuses (at most 1,000 statuses
a commit and context; a description of 140 characters), docs.github.com/rest/pulls/pulls (``head=owner:branch``
narrows the list), and routers/api/v1/repo/{status,pull}.go of Forgejo and Gitea, where not all versions know ``head``.
"""

from typing import Any
from urllib.parse import quote, urlsplit

from reconciler.adapters.forge.api import Api
from reconciler.core.commit_status import CommitState
from reconciler.core.desired import Forge
from reconciler.core.names import Commit
from reconciler.errors import ForgeRefused, StatusRefused

STATES = {
    CommitState.PENDING: "pending",
    CommitState.RUNNING: "pending",
    CommitState.SUCCESS: "success",
    CommitState.FAILED: "failure",
}


class _Pulls:
    """What both dialects have in common."""

    def __init__(self, api: Api, owner: str, name: str) -> None:
        self._api = api
        self._owner = owner
        self._repository = f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}"

    def close(self) -> None:
        self._api.close()

    def set_status(
        self, commit: Commit, state: CommitState, *, context: str, description: str, target_url: str | None = None
    ) -> None:
        body = {"state": STATES[state], "context": context, "description": description}
        link = {"target_url": target_url} if target_url else {}
        answer = self._api.send("POST", f"{self._repository}/statuses/{commit}", {**body, **link})
        if _refuses_this_one(answer.status_code, self._api.message(answer), commit):
            raise StatusRefused(
                f"the forge refused the status of commit {commit[:12]}"
                f" ({answer.status_code} {self._api.message(answer)})"
            )
        self._api.checked(answer)

    def _close(self, number: int) -> None:
        answer = self._api.send("PATCH", f"{self._repository}/pulls/{number}", {"state": "closed"})
        if answer.status_code not in (412, 422):  # merged or closed meanwhile: Gitea, GitHub
            self._api.checked(answer)


class GitHub(_Pulls):
    """github.com, or GitHub Enterprise Server below /api/v3 of its own host."""

    def __init__(self, settings: Forge, token: str) -> None:
        page, owner, name = _places(settings)
        is_public = urlsplit(page).hostname in ("github.com", "www.github.com")
        own = "https://api.github.com" if is_public else f"{page}/api/v3"
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        scopes = "'repo:status' and 'public_repo' or 'repo' (fine-grained: Commit statuses and Pull requests: write)"
        super().__init__(Api(settings.api or own, token, headers, scopes=scopes), owner, name)

    def close_requests(self, branch: str) -> None:
        head = f"{self._owner}:{branch}"
        found = list(self._api.pages(f"{self._repository}/pulls", "number", "per_page", state="open", head=head))
        for pull in found:
            if _head(pull).get("ref") == branch and _is_from_here(pull):
                self._close(pull["number"])


class Forgejo(_Pulls):
    """Forgejo and Gitea, also below a path of their host."""

    def __init__(self, settings: Forge, token: str) -> None:
        page, owner, name = _places(settings)
        headers = {"Authorization": f"token {token}", "Accept": "application/json"}
        scopes = "the scope 'write:repository' and a user who may write to the repository"
        super().__init__(Api(settings.api or f"{page}/api/v1", token, headers, scopes=scopes), owner, name)

    def close_requests(self, branch: str) -> None:
        found = list(self._api.pages(f"{self._repository}/pulls", "number", "limit", state="open"))
        for pull in found:
            if self._is_from(pull, branch):
                self._close(pull["number"])

    def _is_from(self, pull: dict[str, Any], branch: str) -> bool:
        """Of a branch whose ref is gone only the label still tells its name; of an AGit topic not even that.

        An AGit request (``git push origin HEAD:refs/for/main -o topic=...``) has the hidden head ``user/topic``. Who
        asks for the request from that head into its base gets it, or an earlier one of the same topic, closed by now.
        """
        head, number = _head(pull), pull["number"]
        if head.get("ref") != f"refs/pull/{number}/head" or head.get("label"):
            return branch in (head.get("ref"), head.get("label")) and _is_from_here(pull)
        user = str((pull.get("user") or {}).get("login", "")).lower()
        topic = branch if branch.startswith(f"{user}/") else f"{user}/{branch}"
        base = quote(str((pull.get("base") or {}).get("ref", "")), safe="")
        same = self._api.get(f"{self._repository}/pulls/{base}/{quote(topic)}")
        if not isinstance(same, dict):
            return False
        is_earlier = same.get("state") == "closed" and same.get("title") == pull.get("title")
        return same.get("number") == number or is_earlier


def _places(settings: Forge) -> tuple[str, str, str]:
    """The forge's own web page, the owner and the repository's name: the last two parts of the repository's page."""
    parts = urlsplit(settings.url).path.removesuffix(".git").strip("/").split("/")
    if len(parts) < 2:
        raise ForgeRefused(f"forge.url must be the repository's web page, owner and name included, not {settings.url}")
    page = settings.url.removesuffix(".git").rstrip("/").removesuffix("/".join(parts[-2:])).rstrip("/")
    return page, parts[-2], parts[-1]


def _refuses_this_one(code: int, says: str, commit: Commit) -> bool:
    """GitHub: 422, "No commit found for SHA: ..."; Forgejo and Gitea: 404 or, before, 500, naming the commit."""
    return code in (400, 422) or (code in (404, 500) and commit in says)


def _head(pull: dict[str, Any]) -> dict[str, Any]:
    return pull.get("head") or {}


def _is_from_here(pull: dict[str, Any]) -> bool:
    """Not from a fork that has a branch of the same name."""
    theirs = (_head(pull).get("repo") or {}).get("id")
    return theirs is not None and theirs == ((pull.get("base") or {}).get("repo") or {}).get("id")
