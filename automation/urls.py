"""Addresses below /api."""

from django.urls import path

from automation.api import RuleViewSet, RunSourceViewSet, RunViewSet, VocabularyView
from kjxlkj.api import Router

router = Router()
router.register("automation/rules", RuleViewSet, "rule")
router.register("automation/runs", RunViewSet, "run")

urlpatterns = [
    path("automation/vocabulary", VocabularyView.as_view(), name="vocabulary"),
    path("automation/runs/<str:pk>/sources", RunSourceViewSet.as_view({"get": "sources"}), name="run-sources"),
    *router.urls,
]
