"""Errors, named by what the program does about them.

A person reads every message, so each says what is wrong and what to write or do instead. Foreign
exceptions (docker, git, OSError) are translated into these at the adapter that met them.
"""


class WinslowError(Exception):
    """Base of all errors that carry a message for people. Never shown as a traceback."""


class BadInput(WinslowError):
    """Somebody wrote something we can't use; trying again won't help before it is changed."""


class Transient(WinslowError):
    """The outside world did not answer this time; the next tick tries again."""


class Moved(Transient):
    """Somebody else wrote the branch first. That is how two writers agree, and no fault unless it goes on."""


class TryLater(Transient):
    """Not now, but worth trying again ``after`` so many seconds: the other side's wish, or our own back-off."""

    def __init__(self, message: str, *, after: float) -> None:
        super().__init__(message)
        self.after = after


class ShareUnavailable(Transient):
    """The shared directory is not mounted, not ours, read-only, full or not answering."""


class SourceUnavailable(Transient):
    """The git remote can't be reached; the last good commit goes on."""


class EngineUnavailable(Transient):
    """The container engine does not answer; what it runs may well go on."""


class RegistryUnavailable(TryLater):
    """A registry of images does not answer, or not us: this node can neither tell nor fetch an image for a while."""


class StartFailed(WinslowError):
    """A stage could not be started, and starting it again the same way won't help.

    ``reason`` is a stable CamelCase word: ImageNotFound, CommandNotFound, InputMissing, ...
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class GpuLost(WinslowError):
    """A device that a claim holds is gone, faulty, or in use by somebody else here: another one may do better.

    ``counts``: whether it uses up an attempt, as where the engine alone can tell, and may tell it again at once.
    ``is_refused``: its driver lists it, and yet no container can be given it.
    """

    def __init__(self, message: str, *, counts: bool = False, is_refused: bool = False) -> None:
        super().__init__(message)
        self.counts = counts
        self.is_refused = is_refused


class SecretMissing(WinslowError):
    """This node lacks a secret; another one may have it, and this one once somebody puts it there."""


class FilesLeft(TryLater):
    """Files of a purged project withstand their removal: a person owns them, or still has them open."""


class ForgeUnavailable(TryLater):
    """The forge's API does not answer, or asks to be left alone for a while."""


class ForgeRefused(WinslowError):
    """The forge's API says no: a token, its scopes or an address has to be changed first."""


class StatusRefused(ForgeRefused):
    """The forge does not take this one status, mostly for a commit that it does not have (yet); others may pass."""


class Superseded(WinslowError):
    """Somebody else's record stands where ours should: stop, and keep the hands off."""


class RecordUnreadable(WinslowError):
    """A record or status that Winslow should have written is torn, foreign, or from a newer version."""
