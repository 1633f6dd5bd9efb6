"""What the review pages share: where a form leads back to, the admin's frame around a page."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


def page(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    return render(request, template, {**admin.site.each_context(request), **common(request), **context})


def common(request: HttpRequest) -> dict[str, Any]:
    # Addresses that every card has alike are looked up once: a page has a hundred of them.
    here = where_next(request)
    return {
        "here": here,
        "side_by_side": request.GET.get("diff") == "side",
        "diff_link": _other_diff(here),
        "decide_url": reverse("admin:review_decide"),
        "undo_url": reverse("admin:review_undo"),
        "decide_together_url": reverse("admin:review_decide_together"),
    }


def where_next(request: HttpRequest) -> str:
    """Where a form leads back to: this page, or the one that the form came from."""
    wanted = request.GET.get("next") or request.POST.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return wanted
    on_a_list = request.method == "GET" and request.resolver_match and request.resolver_match.url_name != "review_edit"
    return request.get_full_path() if on_a_list else reverse("admin:review_queue")


def _other_diff(here: str) -> str:
    """This page with its diffs in the other shape, for those who have no script to switch them."""
    path, _, query = here.partition("?")
    given = QueryDict(query, mutable=True)
    if given.pop("diff", None) is None:
        given["diff"] = "side"
    return f"{path}?{given.urlencode()}" if given else path


def from_htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))


def refused(request: HttpRequest, message: str, *, status: int) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": "Not possible", "message": message}
    template = "review/_refused.html" if from_htmx(request) else "review/refused.html"
    return render(request, template, context, status=status)
