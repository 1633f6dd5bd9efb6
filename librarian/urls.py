"""Addresses below /api."""

from django.urls import path

from kjxlkj.api import Router
from librarian.api import OperationViewSet, RunReviewViewSet
from librarian.batch_api import BatchViewSet
from librarian.prompt_api import PromptPackViewSet
from librarian.report_api import DisclosureViewSet, ExchangeViewSet
from librarian.trust_api import AcceptanceView, AutoApplyViewSet

router = Router()
router.register("operations", OperationViewSet, "operation")

_RUN = "automation/runs/<str:pk>"

urlpatterns = [
    *router.urls,
    path("operations/<str:pk>/undo", OperationViewSet.as_view({"post": "undo"}), name="operation-undo"),
    path("review-batches", BatchViewSet.as_view({"get": "list", "post": "create"}), name="batches"),
    path("review-batches/<str:pk>", BatchViewSet.as_view({"get": "retrieve"}), name="batch"),
    path("review-batches/<str:pk>/undo", BatchViewSet.as_view({"post": "undo"}), name="batch-undo"),
    path(f"{_RUN}/operations", RunReviewViewSet.as_view({"get": "operations"}), name="run-operations"),
    path(f"{_RUN}/review", RunReviewViewSet.as_view({"post": "review"}), name="run-review"),
    path(f"{_RUN}/undo", RunReviewViewSet.as_view({"post": "undo"}), name="run-undo"),
    path(
        "workspaces/<str:pk>/prompt-pack",
        PromptPackViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
        name="prompt-pack",
    ),
    path(f"{_RUN}/exchanges", ExchangeViewSet.as_view({"get": "list"}), name="run-exchanges"),
    path(f"{_RUN}/exchanges/<uuid:exchange_id>", ExchangeViewSet.as_view({"get": "retrieve"}), name="run-exchange"),
    path("librarian/acceptance", AcceptanceView.as_view(), name="acceptance"),
    path("automation/rules/<str:pk>/auto-apply", AutoApplyViewSet.as_view({"get": "retrieve"}), name="auto-apply"),
    path("librarian/disclosures", DisclosureViewSet.as_view({"get": "list"}), name="disclosures"),
    path(f"{_RUN}/report", RunReviewViewSet.as_view({"get": "report"}), name="run-report"),
]
