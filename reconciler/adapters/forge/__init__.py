"""The APIs of GitLab, GitHub, Forgejo and Gitea: commit statuses, and closing what needs no answer any more."""

from reconciler.adapters.forge.github import Forgejo, GitHub
from reconciler.adapters.forge.gitlab import GitLab
from reconciler.core.desired import Forge
from reconciler.errors import ForgeRefused


def open_forge(settings: Forge, token: str, *, branch: str) -> GitLab | GitHub | Forgejo:
    """A client of the forge that winslow.yaml names; ``branch`` is the desired one. Connects when it is asked."""
    try:
        match settings.kind:
            case "gitlab":
                return GitLab(settings, token, branch)
            case "github":
                return GitHub(settings, token)
            case _:
                return Forgejo(settings, token)
    except ValueError as error:
        raise ForgeRefused(f"forge.url or forge.api in winslow.yaml is no address: {error}") from error


__all__ = ["Forgejo", "GitHub", "GitLab", "open_forge"]
