"""What is put right in a restored database."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from automation.actions import find
from automation.models import Rule
from automation.services import create_rule
from automation.ticks import skip_missed, tick
from exports.attachment_folder import bring_back, copy_out
from exports.services import leaves_a_backup, queue_backup, request_markdown_export
from kjxlkj.errors import DomainError
from tests.exports.test_verification import attach

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("action", "acts_outside"),
    [
        ({"kind": "webhook", "url": "https://hooks.example.com/x"}, True),
        ({"kind": "export_markdown"}, False),
        ({"kind": "sql_backup"}, False),
        ({"kind": "librarian_structure"}, False),
        ({"kind": "librarian_structure", "provider": {"provider_kind": "lmstudio"}}, False),
        ({"kind": "librarian_structure", "provider": {"provider_kind": "openrouter", "model": "a/b"}}, True),
        (
            {
                "kind": "librarian_structure",
                "provider": {"provider_kind": "openai_compatible", "base_url": "https://models.lan/v1", "model": "x"},
            },
            True,
        ),
    ],
)
def test_what_is_felt_or_charged_for_elsewhere_is_known_by_its_action(action, acts_outside):
    assert find(action["kind"]).acts_outside(action) is acts_outside


def test_a_backup_that_was_being_made_is_not_made_again_in_its_own_place(workspace, superuser):
    assert leaves_a_backup(queue_backup(created_by=superuser))
    assert not leaves_a_backup(request_markdown_export(workspace, actor=workspace.owner))


def test_what_a_schedule_missed_is_not_caught_up(workspace, owner):
    action = {"kind": "export_markdown"}
    rule = create_rule(
        workspace, actor=owner, name="Nightly", trigger="schedule", schedule="0 3 * * *", action_json=action
    )
    Rule.objects.filter(pk=rule.pk).update(next_tick_at=timezone.now() - timedelta(days=3))
    assert skip_missed() == 1
    rule.refresh_from_db()
    assert rule.next_tick_at > timezone.now()
    assert tick() == 0


def test_contents_are_copied_once_and_brought_back_where_they_lack(workspace, tmp_path, files):
    contents = [attach(workspace, tmp_path, f"{name}.bin", name.encode()) for name in ("a", "b")]
    attach(workspace, tmp_path, "again.bin", b"a")
    folder = tmp_path / "beside"
    assert copy_out(folder) == (2, [])
    places = {content.sha256: folder / content.sha256[:2] / content.sha256 for content in contents}
    assert all(place.is_file() for place in places.values())
    # What is there stays; what is torn, or lacks, is copied.
    places[contents[0].sha256].write_bytes(b"")
    assert copy_out(folder) == (1, [])
    (files / contents[1].name).unlink()
    assert copy_out(folder) == (0, [])
    assert bring_back(None) == (0, ["b.bin"])
    assert bring_back(folder) == (1, [])
    assert (files / contents[1].name).read_bytes() == b"b"
    assert bring_back(folder) == (0, [])


def test_a_content_that_is_nowhere_is_named(workspace, tmp_path, files):
    content = attach(workspace, tmp_path, "a.bin", b"a")
    (files / content.name).unlink()
    assert copy_out(tmp_path / "beside") == (0, ["a.bin"])
    assert bring_back(tmp_path / "beside") == (0, ["a.bin"])


def test_another_content_under_its_name_is_refused(workspace, tmp_path, files):
    content = attach(workspace, tmp_path, "a.bin", b"a")
    copy_out(tmp_path / "beside")
    (tmp_path / "beside" / content.sha256[:2] / content.sha256).write_bytes(b"x")
    (files / content.name).unlink()
    with pytest.raises(DomainError) as error:
        bring_back(tmp_path / "beside")
    assert error.value.code == "ATTACHMENT_DAMAGED"
    assert not (files / content.name).exists()


def test_the_command_copies_attachments_beside_a_backup(workspace, tmp_path, files, capsys):
    content = attach(workspace, tmp_path, "a.bin", b"a")
    call_command("backup_sql", "--to", str(tmp_path / "all.dump"), "--attachments", str(tmp_path / "beside"))
    assert (tmp_path / "beside" / content.sha256[:2] / content.sha256).read_bytes() == b"a"
    assert "Attachments copied: 1" in capsys.readouterr().out
    (tmp_path / "beside" / content.sha256[:2] / content.sha256).unlink()
    (files / content.name).unlink()
    with pytest.raises(CommandError, match=r"a\.bin") as error:
        call_command("backup_sql", "--to", str(tmp_path / "all.dump"), "--attachments", str(tmp_path / "beside"))
    assert error.value.returncode == 1


def test_attachments_are_copied_beside_a_file_only(tmp_path):
    with pytest.raises(CommandError, match="--to"):
        call_command("backup_sql", "--attachments", str(tmp_path / "beside"))
