from django.urls import path

from kjxlkj.api import Router
from kjxlkj.notes.api import NoteViewSet
from kjxlkj.notes.attachments_api import AttachmentViewSet
from kjxlkj.notes.search_api import SearchView, TagsView

router = Router()
router.register("notes", NoteViewSet, "note")
router.register("attachments", AttachmentViewSet, "attachment")

urlpatterns = [
    *router.urls,
    path("search", SearchView.as_view(), name="search"),
    path("tags", TagsView.as_view(), name="tags"),
]
