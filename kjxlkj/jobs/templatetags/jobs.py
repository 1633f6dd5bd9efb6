"""What templates ask about jobs."""

from datetime import datetime

from django import template
from django.utils import timezone

register = template.Library()


@register.filter
def is_to_come(moment: datetime | None) -> bool:
    return moment is not None and moment > timezone.now()
