"""The admin, opened by membership: whoever belongs to a workspace may come in and sees what its role allows.

Apps add pages and front-page panels of their own from their `admin.py`, as they register models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse


@dataclass(frozen=True, slots=True)
class Page:
    route: str
    view: Callable[..., HttpResponse]
    name: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the front page: `context` is asked for what `template` shows as `panel`; None leaves it out."""

    template: str
    context: Callable[[HttpRequest], Mapping[str, Any] | None]


_pages: list[Page] = []
_panels: list[Panel] = []


def add_page(route: str, view: Callable[..., HttpResponse], name: str) -> None:
    """Serve `view` below /admin/ to those who may come in, as `admin:<name>`."""
    _pages.append(Page(route, view, name))


def add_panel(template: str, context: Callable[[HttpRequest], Mapping[str, Any] | None]) -> None:
    _panels.append(Panel(template, context))


class AdminSite(admin.AdminSite):
    site_header = "kjxlkj"
    site_title = "kjxlkj"
    index_title = "Overview"
    site_url = None

    def get_urls(self) -> list[URLResolver | URLPattern]:
        pages = [path(page.route, self.admin_view(page.view), name=page.name) for page in _pages]
        return [*pages, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        found = [(panel.template, panel.context(request)) for panel in _panels]
        panels = [{"template": template, **context} for template, context in found if context is not None]
        return super().index(request, {"panels": panels, **(extra_context or {})})

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Who asked for no page in particular goes where the work is."""
        extra = dict(extra_context or {})
        if request.GET.get("next", reverse("admin:index")) == reverse("admin:index"):
            extra["next"] = reverse("home")
        return super().login(request, extra)
