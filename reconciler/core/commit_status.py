"""What the forge should show beside a commit: what became of what it asked for."""

from enum import StrEnum


class CommitState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
