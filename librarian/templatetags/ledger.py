"""What the ledger says of a note, for the note's page."""

from django import template

from kjxlkj.notes.models import Note
from librarian.models import Disclosure

register = template.Library()


@register.simple_tag
def hosts_told_of(note: Note) -> int:
    """To how many hosts the note's text or name was sent."""
    return Disclosure.objects.filter(note=note).order_by().values("host").distinct().count()
