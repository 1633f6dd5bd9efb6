"""What rules said before an upgrade, they mean after it."""

from importlib import import_module

import pytest
from django.apps import apps

from automation.models import Rule, Run, RunTrigger
from automation.runs import new_run
from automation.services import create_rule
from kjxlkj.notes.filters import condition_faults

LIBRARIAN = {"kind": "librarian_structure"}


@pytest.mark.django_db
def test_values_that_were_written_as_text_become_what_they_are(workspace, owner):
    rule = create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)
    was = {"any": [{"untagged": "True"}, {"not": {"tag_any": "a,b"}}], "min_length": "5", "title_contains": "5"}
    now = {"any": [{"untagged": True}, {"not": {"tag_any": ["a", "b"]}}], "min_length": 5, "title_contains": "5"}
    Rule.objects.filter(pk=rule.pk).update(condition_json=was, action_json={**LIBRARIAN, "plan": {"scope": was}})
    rule.refresh_from_db()
    Run.objects.bulk_create([run := new_run(rule, RunTrigger.MANUAL)])
    import_module("automation.migrations.0005_conditions_by_type").rewrite(apps, None)
    rule.refresh_from_db()
    run.refresh_from_db()
    assert rule.condition_json == rule.action_json["plan"]["scope"] == run.rule_snapshot["condition_json"] == now
    assert condition_faults(was) != condition_faults(now) == []
