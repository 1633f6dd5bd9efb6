"""The codes of rejections, as people read them."""

_WORDS = {
    "ALREADY_PENDING": "The same proposal waits for review already",
    "FIELD_TAKEN": "A second operation on the same field of the same note",
    "KIND_NOT_ALLOWED": "The rule does not allow this kind of operation",
    "LIBRARIAN_PARSE_FAILED": "Could not be read",
    "LINK_TARGET_UNKNOWN": "A link to a note that does not exist",
    "LINK_TEXT_MISSING": "The words to link do not stand in the note",
    "NOTHING_CHANGES": "Changes nothing",
    "NO_CHANGE": "Changes nothing",
    "NOT_ONLY_LINKS": "Changes more than links",
    "PATH_TAKEN": "Another note has this path",
    "REJECTED_BEFORE": "A person rejected the same before",
    "REJECTED_BY_PERSON": "Rejected",
    "TAG_NOT_IN_TAXONOMY": "A tag outside the rule's taxonomy",
    "TARGET_NOT_MARKDOWN": "The note is not Markdown",
    "TARGET_UNKNOWN": "There is no such note in the run's scope",
    "TOO_MANY_OPERATIONS": "More operations than the run may propose",
}


def rejection_in_words(code: str) -> str:
    return _WORDS.get(code, code.replace("_", " ").capitalize())
