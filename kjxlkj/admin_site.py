"""The admin, opened by membership: whoever belongs to a workspace may come in and sees what its role allows."""

from django.contrib import admin


class AdminSite(admin.AdminSite):
    site_header = "kjxlkj"
    site_title = "kjxlkj"
    index_title = "Workspaces, notes, rules, review"
    site_url = None
