from django.urls import path

from kjxlkj.api import Router
from kjxlkj.workspaces.api import MemberViewSet, WorkspaceViewSet
from kjxlkj.workspaces.events_api import EventFeedView
from kjxlkj.workspaces.login import LoginView, LogoutView

router = Router()
router.register("workspaces", WorkspaceViewSet, "workspace")

urlpatterns = [
    *router.urls,
    path("workspaces/<str:workspace_id>/members", MemberViewSet.as_view({"get": "list"}), name="member-list"),
    path(
        "workspaces/<str:workspace_id>/members/<str:user_id>",
        MemberViewSet.as_view({"put": "update", "delete": "destroy"}),
        name="member-detail",
    ),
    path("events", EventFeedView.as_view(), name="events"),
    path("auth/login", LoginView.as_view(), name="login"),
    path("auth/logout", LogoutView.as_view(), name="logout"),
]
