"""Filters of lists in the admin that other pages lead to, each with a figure of theirs."""

from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone


class LinkedFilter(admin.SimpleListFilter):
    """For links to the rows of one value. It offers no others: to find them all would read every row."""

    lookup: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(str(self.parameter_name))
        return [] if chosen is None else [(chosen, chosen or "not known")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() is None else queryset.filter(**{self.lookup: self.value()})


class DaysFilter(admin.SimpleListFilter):
    """The last days of the calendar, or the one day that a link names."""

    lookup: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        offered = [("1", "today"), ("7", "last 7 days"), ("30", "last 30 days")]
        chosen = request.GET.get(str(self.parameter_name), "")
        return offered if not chosen or chosen in dict(offered) else [*offered, (chosen, chosen)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Django refuses the list's address for any error of a value that cannot be."""
        value = self.value()
        if value is None:
            return queryset
        if value.isdecimal():
            return queryset.filter(**{f"{self.lookup}__gte": first_moment(int(value))})
        start = timezone.make_aware(datetime.combine(date.fromisoformat(value), time.min))
        return queryset.filter(**{f"{self.lookup}__gte": start, f"{self.lookup}__lt": start + timedelta(days=1)})


def first_moment(days: int) -> datetime:
    """Of the last `days` days of the calendar, today among them."""
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)
