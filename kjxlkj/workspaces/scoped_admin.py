"""The base of all our admin pages: rows by membership, rights by role, writing by services.

Django's model permissions are not asked: what a person may do here is what `workspaces.roles` says, as in the API.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.text import capfirst

from kjxlkj.errors import DomainError
from kjxlkj.workspaces.models import Membership, User, Workspace
from kjxlkj.workspaces.roles import Right, may, roles_with, scoped

COUNTED = 50_000


class BoundedPaginator(Paginator[Any]):
    """Counts no further than COUNTED rows: beyond that nobody leafs, one filters or searches."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        # Without what is computed for each row, a search's rank above all.
        return rows.order_by().values("pk")[:COUNTED].count()


class ServiceForm(forms.ModelForm[Any]):
    """A form whose values a service may still refuse: its words then stand beside the field."""

    refusal: DomainError | None = None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refusal is not None:
            show_refusal(self, self.refusal)
        return cleaned


def show_refusal(form: forms.BaseForm, error: DomainError) -> None:
    """Put the error beside the field it names, each fault of a list of faults by its path."""
    for fault in error.details.get("faults") or [{"path": error.details.get("field", ""), "message": error.message}]:
        field = str(fault["path"]).partition(".")[0].partition("[")[0]
        known = field in form.fields
        where = "" if fault["path"] == field or not known else f"{fault['path']}: "
        form.add_error(field if known else None, f"{where}{fault['message']}")


def actor(request: HttpRequest) -> User:
    return cast(User, request.user)  # the admin site lets nobody else in


class ScopedAdmin(admin.ModelAdmin[Any]):
    """`workspace_path` leads from a row to its workspace; each right is None where nobody has it."""

    workspace_path: ClassVar[str] = "workspace"
    view_right: ClassVar[Right | None] = Right.READ
    add_right: ClassVar[Right | None] = None
    change_right: ClassVar[Right | None] = None
    delete_right: ClassVar[Right | None] = None
    # Deleting many at once would go past the services.
    actions: Sequence[Any] | None = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_per_page = 50

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return scoped(super().get_queryset(request), request.user, path=self.workspace_path)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._has(request, self.view_right, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._has(request, self.add_right)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._has(request, self.change_right, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._has(request, self.delete_right, obj)

    def workspace_of(self, obj: Model) -> Workspace:
        found: Any = obj
        for step in self.workspace_path.split("__"):
            found = found if step == "pk" else getattr(found, step)
        return cast(Workspace, found)

    def _has(self, request: HttpRequest, right: Right | None, obj: Model | None = None) -> bool:
        user = request.user
        if right is None or not isinstance(user, User):
            return False
        if obj is not None:
            return may(user, self.workspace_of(obj), right)
        return user.is_superuser or any(role in roles_with(right) for role in _roles(request, user))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # What is searched for is the form's to refuse.
        if any("\0" in value for name, values in request.GET.lists() if name != SEARCH_VAR for value in values):
            raise BadRequest("PostgreSQL has no text with a NUL character, and cannot look for one.")
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What a service refuses is shown in the form, as typed: nothing was written, the view is asked again."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            request.META["kjxlkj.refusal"] = error
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(
        self, request: HttpRequest, obj: Any | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"refusal": request.META.get("kjxlkj.refusal")})

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "workspace":
            right = self.add_right or Right.READ
            kwargs["queryset"] = scoped(Workspace.objects.all(), request.user, right, path="pk")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def attempt(self, request: HttpRequest, what: str, service: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a service for a button: success and refusal are both told. Returns its result, None if refused."""
        try:
            result = service(*args, **kwargs)
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
            return None
        self.message_user(request, what, messages.SUCCESS)
        return result


def _roles(request: HttpRequest, user: User) -> set[str]:
    """The person's roles anywhere, read once a request."""
    if "kjxlkj.roles" not in request.META:
        request.META["kjxlkj.roles"] = set(Membership.objects.filter(user=user).values_list("role", flat=True))
    return cast("set[str]", request.META["kjxlkj.roles"])


class WorkspaceFilter(admin.SimpleListFilter):
    title = "workspace"
    parameter_name = "workspace"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        mine = scoped(Workspace.objects.all(), request.user, path="pk")
        return list(mine.values_list("slug", "name"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(workspace__slug=self.value()) if self.value() else queryset
