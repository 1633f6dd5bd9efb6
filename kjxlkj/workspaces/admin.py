"""Workspaces, their members, and people."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from kjxlkj.workspaces import services
from kjxlkj.workspaces.models import Membership, Role, User, Workspace, WorkspaceEvent
from kjxlkj.workspaces.roles import Right
from kjxlkj.workspaces.scoped_admin import ScopedAdmin, ServiceForm, WorkspaceFilter, actor

# Rights come from memberships; a group would promise what it cannot give.
admin.site.unregister(Group)


@admin.register(Workspace)
class WorkspaceAdmin(ScopedAdmin):
    workspace_path = "pk"
    add_right = Right.READ
    change_right = Right.OWN
    form = ServiceForm
    change_form_template = "workspaces/workspace.html"
    list_display = ["name", "slug", "state", "owner", "created_at"]
    list_select_related = ["owner"]
    fields = ["name", "slug", "time_zone", "state", "owner"]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.fields if obj else ["name", "slug", "time_zone"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, User) and request.user.is_active

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "owner":
            kwargs["queryset"] = User.objects.filter(is_active=True)
            if not actor(request).is_superuser:
                kwargs["queryset"] = (
                    kwargs["queryset"].filter(memberships__workspace__memberships__user=request.user).distinct()
                )
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Workspace, form: Any, change: bool) -> None:
        if not change:
            values = {name: form.cleaned_data[name] for name in ("slug", "name", "time_zone")}
            obj.pk = services.create_workspace(**values, owner=actor(request)).pk
            obj._state.adding = False
            return
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name != "owner"}
        services.update_workspace(obj, actor=actor(request), **changes)
        if "owner" in form.changed_data:
            services.transfer_ownership(obj, to=form.cleaned_data["owner"], actor=actor(request))


class MembershipForm(ServiceForm):
    role = forms.ChoiceField(choices=[choice for choice in Role.choices if choice[0] != Role.OWNER])
    email = forms.EmailField(help_text="Of a person who has an account here.")

    class Meta:
        model = Membership
        fields: ClassVar[list[str]] = ["workspace", "role"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.instance._state.adding:
            del self.fields["email"]

    def clean_email(self) -> User:
        person = User.objects.filter(email=self.cleaned_data["email"].strip().lower(), is_active=True).first()
        if person is None:
            raise forms.ValidationError("Nobody here has this address. A superuser can make the account.")
        return person


@admin.register(Membership)
class MembershipAdmin(ScopedAdmin):
    add_right = change_right = delete_right = Right.MEMBERS
    form = MembershipForm
    list_display = ["user", "email", "workspace", "role", "created_at"]
    list_select_related = ["user", "workspace"]
    list_filter = [WorkspaceFilter, "role"]
    search_fields = ["user__email", "user__name"]

    @admin.display(description="e-mail")
    def email(self, obj: Membership) -> str:
        return obj.user.email

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ["workspace", "user", "role"] if obj else ["workspace", "email", "role"]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ["workspace", "user"] if obj else []

    def has_change_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.role != Role.OWNER)

    def has_delete_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.role != Role.OWNER)

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        person = obj.user if change else form.cleaned_data["email"]
        obj.user = person
        obj.pk = services.set_member(obj.workspace, person, form.cleaned_data["role"], actor=actor(request)).pk

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        services.remove_member(obj.workspace, obj.user_id, actor=actor(request))


class LowerCaseEmail:
    """Addresses are kept in lower case; who types one otherwise means the same."""

    cleaned_data: dict[str, Any]

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()


class NewUserForm(LowerCaseEmail, AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")


class UserForm(LowerCaseEmail, UserChangeForm[User]):
    class Meta:
        model = User
        fields = ("email", "name", "is_active", "is_superuser")


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User]):  # type: ignore[type-var]  # Django's needs no more than email and password
    """Accounts are the instance's concern: superusers'. Members of one's workspaces are seen under memberships."""

    form = UserForm
    add_form = NewUserForm
    list_display = ["email", "name", "is_active", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser"]
    search_fields = ["email", "name"]
    ordering = ["email"]
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Access", {"fields": ("is_active", "is_superuser")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).exclude(email=services.SYSTEM_EMAIL)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return actor(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        """History names people: an account is closed, not deleted."""
        return False


@admin.register(WorkspaceEvent)
class EventAdmin(ScopedAdmin):
    """The audit log."""

    list_display = ["created_at", "workspace", "seq", "type", "actor"]
    list_select_related = ["workspace", "actor"]
    list_filter = [WorkspaceFilter]
    # Ids are made in the order of time, and indexed.
    ordering = ["-pk"]
