"""Exit codes, and which one an error means. Printed below every ``--help``."""

from enum import IntEnum

from reconciler.errors import BadInput, RecordUnreadable, Transient, WinslowError


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    UNAVAILABLE = 3
    INTERRUPTED = 130


EPILOG = """\b
Exit codes:
  0    well
  1    what you asked about failed
  2    wrong use or wrong input
  3    the share, git or the engine can't be reached, or the time is up
  130  ended by Ctrl-C"""


def exit_code(error: WinslowError) -> Exit:
    match error:
        case BadInput():
            return Exit.BAD_INPUT
        case Transient() | RecordUnreadable():
            return Exit.UNAVAILABLE
        case _:
            return Exit.FAILED
