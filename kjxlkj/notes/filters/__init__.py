"""The one filter vocabulary over notes: lists, search, export, librarian scope and rule conditions speak it.

A condition is a JSON tree: `{"all": [...]}`, `{"any": [...]}`, `{"not": {...}}`, or an object of filters from
`VOCABULARY`, which must all hold. `{}` holds for every note. `condition_faults` reports every fault at once, each with
its JSON path; `condition_q` turns a tree into one SQL condition; `explain` tells how it came out for one note.
"""

from kjxlkj.notes.filters.trees import (
    MAX_DEPTH,
    MAX_NODES,
    ConditionInvalid,
    condition_faults,
    condition_q,
    condition_schema,
    node_schema,
    words_in,
)
from kjxlkj.notes.filters.values import BadValue
from kjxlkj.notes.filters.verdicts import Verdict, explain
from kjxlkj.notes.filters.words import IN_COMMON, VOCABULARY, Filter

__all__ = [
    "IN_COMMON",
    "MAX_DEPTH",
    "MAX_NODES",
    "VOCABULARY",
    "BadValue",
    "ConditionInvalid",
    "Filter",
    "Verdict",
    "condition_faults",
    "condition_q",
    "condition_schema",
    "explain",
    "node_schema",
    "words_in",
]
