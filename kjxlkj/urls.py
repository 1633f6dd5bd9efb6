"""Every address of the site."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView

from kjxlkj.api import other_slash
from kjxlkj.health import HealthView, ReadyView
from kjxlkj.openapi import DocsView
from kjxlkj.workspaces.views import setup
from librarian.pages import front_door

handler400 = "kjxlkj.envelope.bad_request"
handler403 = "kjxlkj.envelope.permission_denied"
handler404 = "kjxlkj.envelope.not_found"
handler500 = "kjxlkj.envelope.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", front_door, name="home"),
    path("admin/", admin.site.urls),
    path("setup/<str:token>/", setup, name="setup"),
    path("api/", include("kjxlkj.workspaces.urls")),
    path("api/", include("kjxlkj.notes.urls")),
    path("api/", include("automation.urls")),
    path("api/", include("librarian.urls")),
    path("api/", include("exports.urls")),
    path("api/healthz", HealthView.as_view(), name="healthz"),
    path("api/readyz", ReadyView.as_view(), name="readyz"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", DocsView.as_view(url_name="schema"), name="docs"),
    # The last: what no route above has claimed.
    re_path(r"^api/(?P<rest>.*)$", other_slash),
]
