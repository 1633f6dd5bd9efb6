"""Wiring of the project package itself."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig
from django.core.checks import register


class ProjectConfig(AppConfig):
    """Makes the project's own commands and static files visible."""

    name = "kjxlkj"
    label = "kjxlkj"

    def ready(self) -> None:
        from kjxlkj.system_checks import bucket_is_usable, libraries_are_there

        register(libraries_are_there)
        register(bucket_is_usable, deploy=True)


class AdminConfig(DjangoAdminConfig):
    default_site = "kjxlkj.admin_site.AdminSite"
