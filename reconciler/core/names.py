"""Typed names, so that a node can't be passed where a project is meant."""

from typing import NewType

ProjectName = NewType("ProjectName", str)
"""The stem of the project's file: its identity. What people read is the file's ``name``."""

PipelineName = NewType("PipelineName", str)
StageName = NewType("StageName", str)
NodeName = NewType("NodeName", str)

RunNumber = NewType("RunNumber", int)
"""1, 2, 3 ... within a project, counted over its RUN records."""

RecordNumber = NewType("RecordNumber", int)
"""1, 2, 3 ... within a records directory. A CLAIM's number is its fencing token."""

Token = NewType("Token", str)
"""128 random bits in hex: decides whose record a published file is."""

Commit = NewType("Commit", str)
Blob = NewType("Blob", str)
ShareId = NewType("ShareId", str)


def run_directory(run: RunNumber, stage: StageName) -> str:
    """The run's name in paths, e.g. ``0004-detect``."""
    return f"{run:04d}-{stage}"
