"""The admin, opened by membership: whoever belongs to a workspace may come in and sees what its role allows.

Apps add pages and front-page panels of their own from their `admin.py`, as they register models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.functional import SimpleLazyObject


@dataclass(frozen=True, slots=True)
class Page:
    route: str
    view: Callable[..., HttpResponse]
    name: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the front page: `context` is asked for what `template` shows as `panel`; None leaves it out."""

    place: int
    template: str
    context: Callable[[HttpRequest], Mapping[str, Any] | None]


_ORDER = {label: place for place, label in enumerate(("notes", "automation", "librarian", "exports", "workspaces"))}
_pages: list[Page] = []
_panels: list[Panel] = []


def add_page(route: str, view: Callable[..., HttpResponse], name: str) -> None:
    """Serve `view` below /admin/ to those who may come in, as `admin:<name>`."""
    _pages.append(Page(route, view, name))


def add_panel(place: int, template: str, context: Callable[[HttpRequest], Mapping[str, Any] | None]) -> None:
    """Show a panel on the front page, those with a lower `place` first."""
    _panels.append(Panel(place, template, context))
    _panels.sort(key=lambda panel: panel.place)


class AdminSite(admin.AdminSite):
    site_header = "kjxlkj"
    site_title = "kjxlkj"
    index_title = "Overview"
    site_url = None
    # Our header leads everywhere, at any width.
    enable_nav_sidebar = False

    def get_urls(self) -> list[URLResolver | URLPattern]:
        pages = [path(page.route, self.admin_view(page.view), name=page.name) for page in _pages]
        return [*pages, *super().get_urls()]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Our apps in the order of use, then the machinery's.

        Lazy: every page puts the list into its context, only the front page shows it, and it asks for every right.
        """
        listed = super().get_app_list
        place = len(_ORDER)

        def ordered() -> list[Any]:
            return sorted(listed(request, app_label), key=lambda app: _ORDER.get(app["app_label"], place))

        return cast("list[Any]", SimpleLazyObject(ordered))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        found = [(panel.template, panel.context(request)) for panel in _panels]
        panels = [{"template": template, **context} for template, context in found if context is not None]
        return super().index(request, {"panels": panels, **(extra_context or {})})

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Who asked for no page in particular goes where the work is. A part of a page is told, and asks no more."""
        if getattr(request, "htmx", False):
            return self._logged_out(request)
        extra = dict(extra_context or {})
        if request.GET.get("next", reverse("admin:index")) == reverse("admin:index"):
            extra["next"] = reverse("home")
        return super().login(request, extra)

    def _logged_out(self, request: HttpRequest) -> HttpResponse:
        login_url = f"{reverse('admin:login')}?{urlencode({REDIRECT_FIELD_NAME: _page_of(request)})}"
        return _lost(request, "admin/_logged_out.html", {"login_url": login_url})


def out_of_date(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose CSRF token is not that of the browser any more, as after a login in another tab.

    The API does not come here: see `kjxlkj.authentication`.
    """
    if getattr(request, "htmx", False):
        return _lost(request, "admin/_out_of_date.html", {"page_url": _page_of(request)})
    context = {"title": "This page is out of date"}
    return render(request, "admin/out_of_date.html", context, status=HTTPStatus.FORBIDDEN)


def _page_of(request: HttpRequest) -> str:
    """The page that a part was asked for from."""
    return request.htmx.current_url_abs_path or reverse("admin:index")  # type: ignore[attr-defined]


def _lost(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    response = render(request, template, context, status=HTTPStatus.FORBIDDEN)
    # Whatever part of the answer the page would have taken.
    response["HX-Reselect"] = "#lost"
    return response
