"""The prompts of a workspace over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from kjxlkj.api import Shape, WorkspaceScoped, acting_user, read_body, read_query
from kjxlkj.workspaces.models import Workspace
from kjxlkj.workspaces.roles import Right
from librarian.models import PromptPack
from librarian.prompt_pack import builtin_files, pack_for
from librarian.prompt_services import save_prompt_pack, use_builtin_prompts


class PromptPackIn(Shape):
    files = serializers.DictField(help_text='File name → content, "manifest.json" among them.')


class PromptPackOut(serializers.Serializer[Any]):
    version = serializers.CharField(help_text="“built-in …”, or “workspace …” with the number of the change.")
    sha256 = serializers.CharField()
    files = serializers.DictField()


class PromptPackViewSet(WorkspaceScoped, GenericViewSet[Workspace]):
    """What models are told in this workspace."""

    queryset = Workspace.objects.all()
    serializer_class = PromptPackOut
    workspace_path = "pk"
    noun = "WORKSPACE"

    @extend_schema(responses=PromptPackOut)
    def retrieve(self, request: Request, pk: str) -> Response:
        read_query(request)
        return self._answer(self.get_object())

    @extend_schema(request=PromptPackIn, responses=PromptPackOut)
    def update(self, request: Request, pk: str) -> Response:
        """Use prompts of one's own from now on. Runs that have begun go on with those they began with."""
        workspace = self.authorised(Right.MANAGE)
        save_prompt_pack(workspace, read_body(request, PromptPackIn)["files"], actor=acting_user(request))
        return self._answer(workspace)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Back to the built-in prompts."""
        use_builtin_prompts(self.authorised(Right.MANAGE), actor=acting_user(request))
        return Response(status=204)

    def _answer(self, workspace: Workspace) -> Response:
        pack = pack_for(workspace.pk)
        own = PromptPack.objects.filter(workspace=workspace, active=True).first()
        files = own.files if own else builtin_files()
        return Response(PromptPackOut({"version": pack.version, "sha256": pack.sha256, "files": files}).data)
