"""What can go wrong, by what the user does about it."""


class StageError(Exception):
    """The stage can't do its work; the message is one line and says what to do."""

    exit_code = 1


class ParameterError(StageError):
    """An environment variable is missing or makes no sense; repeating the stage unchanged can't help."""

    exit_code = 2
