"""Filters of lists in the admin that other pages lead to, each with a figure of theirs."""

from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone


class ListFilter(admin.SimpleListFilter):
    """A concrete one names its choices in `lookups`, and what is left of the rows in `narrowed`."""

    def narrowed(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """May raise any of the errors of a value that cannot be: the list's address is refused then."""
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        try:
            return self.narrowed(queryset, value)
        except (ValueError, OverflowError, ValidationError) as error:
            raise IncorrectLookupParameters from error


class LinkedFilter(ListFilter):
    """For links to the rows of one value. It offers no others: to find them all would read every row."""

    lookup: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(str(self.parameter_name))
        return [] if chosen is None else [(chosen, self.name_of(request, chosen))]

    def name_of(self, request: HttpRequest, value: str) -> str:
        return value or "not known"

    def narrowed(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(**{self.lookup: value})


class DaysFilter(ListFilter):
    """The last days of the calendar, or the one day that a link names."""

    lookup: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        offered = [("1", "today"), ("7", "last 7 days"), ("30", "last 30 days")]
        chosen = request.GET.get(str(self.parameter_name), "")
        return offered if not chosen or chosen in dict(offered) else [*offered, (chosen, chosen)]

    def narrowed(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        if value.isdecimal():
            return rows.filter(**{f"{self.lookup}__gte": first_moment(int(value))})
        start = timezone.make_aware(datetime.combine(date.fromisoformat(value), time.min))
        return rows.filter(**{f"{self.lookup}__gte": start, f"{self.lookup}__lt": start + timedelta(days=1)})


def first_moment(days: int) -> datetime:
    """Of the last `days` days of the calendar, today among them."""
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)
