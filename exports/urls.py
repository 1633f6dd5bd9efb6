"""Addresses below /api."""

from exports.api import ExportViewSet
from kjxlkj.api import Router

router = Router()
router.register("admin/export", ExportViewSet, "export")

urlpatterns = router.urls
