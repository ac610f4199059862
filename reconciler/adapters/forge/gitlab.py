"""GitLab's API, version 4.

    POST /projects/:id/statuses/:sha                state, ref, name, description (at most 255), target_url
    GET  /projects/:id/merge_requests               state=opened, source_branch
    PUT  /projects/:id/merge_requests/:iid          state_event=close

``:id`` is the project's path, URL-encoded; lists are paged by ``page`` and ``per_page`` with the header Link; the
token goes into PRIVATE-TOKEN. Sources: docs.gitlab.com/api/commits/#set-commit-pipeline-status,
docs.gitlab.com/api/merge_requests, and lib/api/commit_statuses.rb of GitLab, which says of ``ref``: without it, the
status hangs on the first branch found that holds the commit.
"""

import re
from urllib.parse import quote, urlsplit

from reconciler.adapters.forge.api import Api
from reconciler.core.commit_status import CommitState
from reconciler.core.desired import Forge
from reconciler.core.names import Commit
from reconciler.errors import ForgeRefused, StatusRefused

SCOPES = "the scope 'api' and, as main is a protected branch, a role that may merge into it"
ALREADY = "Cannot transition status"
"""400 to a state that the status has already, or that does not follow from it (running to pending)."""


class GitLab:
    def __init__(self, settings: Forge, token: str, branch: str) -> None:
        base, project = _places(settings)
        self._branch = branch
        self._project = f"/projects/{quote(project, safe='')}"
        self._api = Api(base, token, {"PRIVATE-TOKEN": token}, scopes=SCOPES)

    def close(self) -> None:
        self._api.close()

    def set_status(
        self, commit: Commit, state: CommitState, *, context: str, description: str, target_url: str | None = None
    ) -> None:
        body = {"state": state.value, "ref": self._branch, "name": context, "description": description}
        link = {"target_url": target_url} if target_url and len(target_url) <= 255 else {}
        answer = self._api.send("POST", f"{self._project}/statuses/{commit}", {**body, **link})
        says = self._api.message(answer)
        if answer.status_code == 400 and says.startswith(ALREADY):
            return
        if answer.status_code in (400, 422) or (answer.status_code == 404 and "commit" in says.lower()):
            raise StatusRefused(f"the forge refused the status of commit {commit[:12]} ({answer.status_code} {says})")
        self._api.checked(answer)

    def close_requests(self, branch: str) -> None:
        requests = f"{self._project}/merge_requests"
        found = list(self._api.pages(requests, "iid", "per_page", state="opened", source_branch=branch))
        for one in found:
            is_ours = one.get("source_project_id") == one.get("target_project_id")
            if one.get("source_branch") == branch and is_ours:
                self._api.checked(self._api.send("PUT", f"{requests}/{one['iid']}", {"state_event": "close"}))


def _places(settings: Forge) -> tuple[str, str]:
    """The API's base, and the project's path. Below another path than / it takes ``forge.api`` to tell them apart."""
    page = urlsplit(settings.url)
    base = settings.api or f"{page.scheme}://{page.netloc}/api/v4"
    root = re.sub(r"/api/v4$", "", urlsplit(base).path)
    project = page.path.removesuffix(".git").strip("/")
    if root and page.path.startswith(root + "/"):
        project = page.path.removesuffix(".git")[len(root) :].strip("/")
    if "/" not in project:
        raise ForgeRefused(f"forge.url must be the repository's web page, group and name included, not {settings.url}")
    return base, project
