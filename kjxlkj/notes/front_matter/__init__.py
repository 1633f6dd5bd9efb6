"""The YAML block at the top of a note: taken off verbatim, read, and changed no more than has to be."""

from kjxlkj.notes.front_matter.editing import render
from kjxlkj.notes.front_matter.reading import NAMED, Parsed, join, parse, recall, split

__all__ = ["NAMED", "Parsed", "join", "parse", "recall", "render", "split"]
