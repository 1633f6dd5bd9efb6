"""The librarian's tables."""

from librarian.models.exchanges import Disclosure, Exchange, Failure, PromptPack, RunReport
from librarian.models.operations import Batch, Operation, OperationKind, OperationQuerySet, OperationStatus, Via

__all__ = [
    "Batch",
    "Disclosure",
    "Exchange",
    "Failure",
    "Operation",
    "OperationKind",
    "OperationQuerySet",
    "OperationStatus",
    "PromptPack",
    "RunReport",
    "Via",
]
