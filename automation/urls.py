"""Addresses below /api."""

from automation.api import RuleViewSet, RunViewSet
from kjxlkj.api import Router

router = Router()
router.register("automation/rules", RuleViewSet, "rule")
router.register("automation/runs", RunViewSet, "run")

urlpatterns = router.urls
