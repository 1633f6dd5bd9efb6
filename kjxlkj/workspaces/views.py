"""The page on which the first owner is made."""

from typing import Any

from django import forms
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from kjxlkj.errors import DomainError, Forbidden
from kjxlkj.workspaces import services


class SetupForm(forms.Form):
    email = forms.EmailField(
        label="E-mail", max_length=254, widget=forms.EmailInput({"autocomplete": "email", "autofocus": True})
    )
    name = forms.CharField(
        label="Name", max_length=150, required=False, widget=forms.TextInput({"autocomplete": "name"})
    )
    password = forms.CharField(
        label="Password",
        max_length=4096,
        strip=False,
        help_text="At least 8 characters, and not one of the common ones.",
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label="Password again",
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if "again" in given and given.get("password") not in {None, given["again"]}:
            self.add_error("again", "The two passwords differ. Type the same one twice.")
        return given


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest, token: str) -> HttpResponse:
    """Nothing counts the tries here: a token of 192 random bits is not guessed."""
    if not services.setup_is_open(token):
        return _locked(request)
    form = SetupForm(request.POST or None, label_suffix="")
    if form.is_valid():
        given = form.cleaned_data
        try:
            user = services.set_up_first_owner(
                token, email=given["email"], password=given["password"], name=given["name"]
            )
        except Forbidden:  # somebody else was first
            return _locked(request)
        except DomainError as error:
            field = error.details.get("field")
            form.add_error(field if field in form.fields else None, error.message.removeprefix(f"{field}: "))
        else:
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            return redirect("home")
    return render(request, "workspaces/setup.html", {"form": form, "title": "Set up kjxlkj"})


def _locked(request: HttpRequest) -> HttpResponse:
    return render(request, "workspaces/setup_locked.html", {"title": "This setup link is locked"}, status=404)
