"""Wiring of the project package itself."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class ProjectConfig(AppConfig):
    """Makes the project's own commands and static files visible."""

    name = "kjxlkj"
    label = "kjxlkj"


class AdminConfig(DjangoAdminConfig):
    default_site = "kjxlkj.admin_site.AdminSite"
