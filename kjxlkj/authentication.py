"""Who is asking, for the API."""

from rest_framework.authentication import SessionAuthentication as DrfSessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from kjxlkj.errors import Forbidden


class SessionAuthentication(DrfSessionAuthentication):
    """Sessions of the admin, with CSRF; a failure bears its own code."""

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except PermissionDenied as error:
            raise Forbidden(
                "CSRF_INVALID", f"{error.detail} Send the value of the csrftoken cookie as X-CSRFToken."
            ) from error
