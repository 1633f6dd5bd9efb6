"""Conditions say true, 5 and a list where they could say "true", "5" and "a,b" before."""

from django.db import migrations

_BOOLEANS = {"untagged", "linked", "orphan"}
_NUMBERS = {"min_length", "max_length", "created_within_days", "updated_within_days"}
_LISTS = {"tag_any", "tag_all"}


def by_type(node):
    if not isinstance(node, dict):
        return node
    return {key: _value(key, value) for key, value in node.items()}


def _value(key, value):
    if key in {"all", "any"} and isinstance(value, list):
        return [by_type(item) for item in value]
    if key == "not":
        return by_type(value)
    if not isinstance(value, str):
        return value
    if key in _BOOLEANS:
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    if key in _NUMBERS:
        return int(value) if value.isascii() and value.isdigit() else value
    return value.split(",") if key in _LISTS else value


def _action(action):
    plan = action.get("plan") if isinstance(action, dict) else None
    if isinstance(plan, dict) and isinstance(plan.get("scope"), dict):
        return {**action, "plan": {**plan, "scope": by_type(plan["scope"])}}
    return action


def rewrite(apps, schema_editor):
    for rule in apps.get_model("automation", "Rule").objects.iterator():
        condition, action = by_type(rule.condition_json), _action(rule.action_json)
        if (condition, action) != (rule.condition_json, rule.action_json):
            rule.condition_json, rule.action_json = condition, action
            rule.save(update_fields=["condition_json", "action_json"])
    unfinished = apps.get_model("automation", "Run").objects.filter(status__in=["queued", "running"])
    for run in unfinished.iterator():
        was = run.rule_snapshot
        now = {**was, "condition_json": by_type(was.get("condition_json", {}))}
        now["action_json"] = _action(was.get("action_json", {}))
        if now != was:
            run.rule_snapshot = now
            run.save(update_fields=["rule_snapshot"])


class Migration(migrations.Migration):
    dependencies = [("automation", "0004_schedules_chains_and_budgets")]

    operations = [migrations.RunPython(rewrite, migrations.RunPython.noop)]
