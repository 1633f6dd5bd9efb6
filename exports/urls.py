"""Addresses below /api."""

from django.urls import path

from exports.api import AuditViewSet, BackupView, ExportViewSet
from kjxlkj.api import Router

router = Router()
router.register("admin/export", ExportViewSet, "export")
router.register("admin/audit", AuditViewSet, "audit")

urlpatterns = [*router.urls, path("admin/backup/sql", BackupView.as_view(), name="backup-sql")]
