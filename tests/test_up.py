"""`manage.py up`, before it starts anything."""

import socket

import pytest
from django.core.management import CommandError, call_command

from automation.models import Rule
from kjxlkj.management.commands.up import Command
from kjxlkj.workspaces.console import new_workspace_at_console
from kjxlkj.workspaces.models import Workspace
from kjxlkj.workspaces.services import new_setup_token, setup_is_open

pytestmark = pytest.mark.django_db


def test_a_second_start_says_that_the_port_is_taken_and_leaves_the_first_ones_setup_link_alone():
    token = new_setup_token()
    with socket.create_server(("127.0.0.1", 0)) as first, pytest.raises(CommandError, match="choose another port"):
        call_command("up", port=first.getsockname()[1])
    assert setup_is_open(token)
    assert not Workspace.objects.exists()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "80000000000000000000", "²"])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(CommandError, match="port"):
        call_command("up", f"--port={port}")


def test_a_demo_that_was_cut_off_is_completed(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    new_workspace_at_console("demo")
    Command()._prepare(None)
    assert Rule.objects.filter(workspace__slug="demo").exists()


def test_no_demo_comes_to_those_who_have_notes_already():
    new_workspace_at_console("mine")
    Command()._prepare(None)
    assert not Workspace.objects.filter(slug="demo").exists()
