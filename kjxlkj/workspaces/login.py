"""Tokens for e-mail and password, and what somebody hears who tried too often."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.utils import extend_schema
from knox.models import AuthToken
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kjxlkj.api import acting_user, read_body
from kjxlkj.envelope import error_json, is_api
from kjxlkj.errors import Unauthenticated
from kjxlkj.workspaces.serializers import Login, LoginOut

# A token of a login, as of a browser that is kept open; those for scripts are made by `create_token`.
LOGIN_LASTS = timedelta(days=30)


class LoginView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(request=Login, responses=LoginOut, auth=[])
    def post(self, request: Request) -> Response:
        """A token for 30 days. After ten wrong passwords: 429, and a pause."""
        given = read_body(request, Login)
        # The plain request: the lock-out is noted on it, and its middleware turns it into `locked_out`.
        user = authenticate(request._request, username=given["email"], password=given["password"])
        if user is None:
            raise Unauthenticated("INVALID_CREDENTIALS", "E-mail and password do not match an account.")
        token, text = AuthToken.objects.create(user, expiry=LOGIN_LASTS)
        return Response({"token": text, "expiry": token.expiry})


class LogoutView(APIView):
    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Forget the token (or end the session) that this request came with."""
        acting_user(request)
        if isinstance(request.auth, AuthToken):
            request.auth.delete()
        else:
            logout(request._request)
        return Response(status=204)


def counted_name(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str | None:
    """The account that wrong passwords are counted for, in the one spelling in which it is looked up."""
    name = (credentials or request.POST).get("username")
    return name.strip().lower() if isinstance(name, str) else None


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """Called by axes instead of the login's own answer."""
    minutes = round(settings.AXES_COOLOFF_TIME * 60)
    message = f"Too many wrong passwords. Wait {minutes} minutes, then try again."
    if is_api(request):
        locked: HttpResponse = error_json(429, "RATE_LIMITED", message)
    else:
        locked = render(
            request, "workspaces/locked_out.html", {"message": message, "title": "Too many wrong passwords"}, status=429
        )
    locked["Retry-After"] = str(minutes * 60)
    return locked
