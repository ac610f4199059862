"""The state repository: git as the database of what people want (``main``) and what is (``observed``)."""

from reconciler.adapters.git.noted import NotedRecords
from reconciler.adapters.git.observed import ObservedBranch
from reconciler.adapters.git.proposals import ProposalBranches
from reconciler.adapters.git.repository import Head, StateRepository
from reconciler.adapters.git.source import GitSource
from reconciler.adapters.git.tree import GitTree

__all__ = ["GitSource", "GitTree", "Head", "NotedRecords", "ObservedBranch", "ProposalBranches", "StateRepository"]
