"""Which rules an event concerns: all conditions of a workspace in one statement, however many rules there are.

A note is written far more often than a rule. So each process keeps what it has made of the rules, under a
fingerprint of their rows that it asks for anew with each event: nobody's rule is ever heard a moment too long.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection

from automation.models import Rule
from automation.triggers import NOTE_DELETED
from kjxlkj.notes.filters import IN_COMMON, ConditionInvalid, condition_q
from kjxlkj.notes.models import Note

logger = logging.getLogger(__name__)

# `xmin` is the transaction that wrote the row: another one after each change, whatever was changed.
_FINGERPRINT = """
    SELECT md5(string_agg(id::text || xmin::text, '' ORDER BY id)) FROM automation_rule
    WHERE workspace_id = %s AND trigger = ANY(%s) AND enabled AND deleted_at IS NULL"""

# OFFSET 0: the planner would put what the conditions have in common back into each of them.
_JUDGE = """
    SELECT id, hits FROM (
        SELECT id, array_remove(ARRAY[{verdicts}], NULL) AS hits
        FROM (SELECT *{in_common} FROM notes_note WHERE id = ANY('"""
_NOTES_END = "') OFFSET 0) AS notes_note) AS judged WHERE hits <> '{}'"


@dataclass(frozen=True, slots=True)
class _Watch:
    rule_ids: tuple[UUID, ...]
    # With all values in it, up to where the notes' ids come: to put in hundreds each time takes longer than to judge.
    judge: str


def matches(
    workspace_id: UUID, triggers: Collection[str], note_ids: Collection[UUID]
) -> Mapping[UUID, frozenset[UUID]]:
    """Of the enabled rules with one of these triggers, those whose condition holds for some of the notes: and for
    which, as they are in this transaction. A rule about deletions looks at deleted notes, any other at live ones.
    """
    heard = sorted(triggers)
    with connection.cursor() as cursor:
        cursor.execute(_FINGERPRINT, [workspace_id, heard])
        fingerprint = cursor.fetchone()[0]
        if fingerprint is None:
            return {}
        watch = _watch(workspace_id, tuple(heard), fingerprint)
        cursor.execute(watch.judge + "{" + ",".join(map(str, note_ids)) + "}" + _NOTES_END)
        rows = cursor.fetchall()
    found: dict[UUID, set[UUID]] = {}
    for note_id, hits in rows:
        for place in hits:
            found.setdefault(watch.rule_ids[place], set()).add(note_id)
    return {rule_id: frozenset(notes) for rule_id, notes in found.items()}


@lru_cache(maxsize=256)
def _watch(workspace_id: UUID, triggers: tuple[str, ...], fingerprint: str) -> _Watch:
    """`fingerprint` is what makes it another one. A rule that changes between the two is newer here than it says,
    and asked for again the next time."""
    rules = Rule.objects.enabled().filter(workspace_id=workspace_id, trigger__in=triggers).order_by("id")
    verdicts = (
        ", ".join(f"CASE WHEN {_holds(rule)} THEN {place} END" for place, rule in enumerate(rules)) or "NULL::int"
    )
    in_common = ""
    for number, expression in enumerate(IN_COMMON):
        sql = _literal(expression.resolve_expression(Note.objects.all().query))
        if sql in verdicts:
            in_common += f", {sql} AS in_common_{number}"
            verdicts = verdicts.replace(sql, f"in_common_{number}")
    return _Watch(tuple(rule.id for rule in rules), _JUDGE.format(verdicts=verdicts, in_common=in_common))


def _holds(rule: Rule) -> str:
    notes = Note.objects.filter(deleted_at__isnull=rule.trigger != NOTE_DELETED)
    try:
        notes = notes.filter(condition_q(rule.condition_json))
    except ConditionInvalid as error:
        # Of an older version, whose words have changed meanwhile: no reason to refuse anybody's writing.
        logger.error("rule %s “%s” is never heard: %s", rule.id, rule.name, error)
        return "false"
    try:
        return _literal(notes.query.where)
    except EmptyResultSet:  # Django sees by itself that it holds for no note
        return "false"


def _literal(expression: Any) -> str:
    """The SQL of what is asked of `notes_note`, with its values in it."""
    compiler = Note.objects.all().query.get_compiler(connection=connection)
    sql, values = compiler.compile(expression)
    literal: str = connection.ops.compose_sql(sql, values)  # type: ignore[attr-defined]  # PostgreSQL's has it
    return literal
