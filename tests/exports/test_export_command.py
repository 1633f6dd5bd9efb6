"""`manage.py export_markdown`."""

import pytest
from django.core.management import CommandError, call_command

from tests.exports.conftest import archive, entries

pytestmark = pytest.mark.django_db(transaction=True)


def export(target, *args):
    call_command("export_markdown", "--workspace", "team", "--to", str(target), *args)


def test_it_writes_the_archive_whole_in_place_of_the_former(workspace, notes, tmp_path):
    target = tmp_path / "out" / "team.zip"
    target.parent.mkdir()
    target.write_text("the former one")
    export(target)
    assert target.read_bytes() == archive(workspace)
    assert list(target.parent.iterdir()) == [target]


def test_it_takes_a_filter(notes, tmp_path):
    export(tmp_path / "a.zip", "--filter", '{"folder": "inbox"}')
    assert set(entries((tmp_path / "a.zip").read_bytes())) == {"inbox/log.md", "manifest.json"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--filter", "{"], "not JSON"),
        (["--filter", '{"colour": 1}'], "colour"),
        (["--filter", "[]"], "expected an object"),
        (["--as", "nobody@example.com"], "no active account"),
    ],
)
def test_wrong_usage_is_named_and_touches_nothing(notes, tmp_path, args, said):
    target = tmp_path / "team.zip"
    target.write_text("the former one")
    with pytest.raises(CommandError, match=said) as error:
        export(target, *args)
    assert error.value.returncode == 2
    assert target.read_text() == "the former one"


def test_a_target_that_cannot_be_written_is_named(notes, tmp_path):
    with pytest.raises(CommandError, match="cannot be written"):
        export(tmp_path / "nowhere" / "team.zip")


def test_a_named_person_needs_the_right(notes, editor, tmp_path):
    with pytest.raises(CommandError, match="Your role here is editor"):
        export(tmp_path / "team.zip", "--as", editor.email)
