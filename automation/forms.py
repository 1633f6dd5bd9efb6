"""The form of a rule, and what the scripts that help to fill it are told of conditions and actions."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django import forms

from automation import actions, services
from automation.models import Rule
from automation.triggers import TRIGGERS
from automation.validation import RuleInvalid, rule_faults
from kjxlkj.errors import Fault
from kjxlkj.notes.filters import MAX_DEPTH, MAX_NODES, VOCABULARY
from kjxlkj.parser import unstorable
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import is_superuser
from kjxlkj.workspaces.scoped_admin import ServiceForm, show_refusal

_TRIGGER_LABELS = {
    "manual": "When somebody launches it",
    "schedule": "On a schedule",
    "note.changed": "When a note is created, edited, retitled, retagged or restored",
    "note.created": "When a note is created",
    "note.updated": "When the text of a note is edited",
    "note.retitled": "When a note is retitled",
    "note.retagged": "When the tags of a note change",
    "note.deleted": "When a note is deleted",
    "note.restored": "When a deleted note is restored",
}
OFFLINE_LIBRARIAN = {"kind": "librarian_structure", "provider": {"provider_kind": "offline"}}


def trigger_label(trigger: str) -> str:
    return _TRIGGER_LABELS.get(trigger, trigger)


def declarations(user: User) -> Mapping[str, Any]:
    """What the condition builder and the forms of the actions that `user` may order are made of."""
    words = [
        {"word": name, "label": word.label, "input": word.input, "choices": list(word.choices)}
        for name, word in VOCABULARY.items()
    ]
    kinds = [
        {"kind": each.kind, "label": each.label, "schema": each.schema}
        for each in actions.actions()
        if is_superuser(user) or not each.superusers_only
    ]
    return {"words": words, "max_depth": MAX_DEPTH, "max_nodes": MAX_NODES, "actions": kinds}


class IndentedJSON(json.JSONEncoder):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "indent": 2, "sort_keys": False, "ensure_ascii": False})


class StorableJSON(json.JSONDecoder):
    """Reads what the API reads: what cannot be stored, or shown again, is as wrong as what is no JSON."""

    def decode(self, s: str, *args: Any) -> Any:
        try:
            value = super().decode(s)
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError("no JSON", s, 0) from error
        if unstorable(value):
            raise json.JSONDecodeError("cannot be stored", s, 0)
        return value


def _json_field(rows: int, **options: Any) -> forms.JSONField:
    widget = forms.Textarea({"rows": rows, "class": "source", "spellcheck": "false"})
    return forms.JSONField(encoder=IndentedJSON, decoder=StorableJSON, widget=widget, **options)


class RuleForm(ServiceForm):
    """`faults`, of a form that was given values: everything that is wrong with them, each with its JSON path."""

    faults: tuple[Fault, ...] = ()

    trigger = forms.ChoiceField(
        label="It fires",
        initial="manual",
        choices=[(name, trigger_label(name)) for name in TRIGGERS],
        help_text="Whatever makes it fire, it can be launched by hand, too.",
    )
    schedule = forms.CharField(
        required=False,
        max_length=100,
        widget=forms.TextInput({"class": "source", "spellcheck": "false", "autocomplete": "off"}),
        help_text="Minute, hour, day of the month, month, weekday (0 or 7 is Sunday), in the workspace's time zone. "
        "“0 3 * * 1-5” is 3:00 from Monday to Friday, “*/15 * * * *” every quarter of an hour.",
    )
    condition_json = _json_field(
        6,
        label="Condition",
        required=False,
        initial={},
        help_text='{} is every note. For example {"folder": "inbox"} or '
        '{"any": [{"untagged": true}, {"title_contains": "untitled"}]}. '
        f"Words: {', '.join(VOCABULARY)}; all, any, not.",
    )
    action_json = _json_field(
        12,
        label="Action",
        initial=OFFLINE_LIBRARIAN,
        help_text='{"kind": …} and the settings of that kind. The offline librarian needs no network and no key.',
    )

    class Meta:
        model = Rule
        fields: ClassVar[list[str]] = ["workspace", *services.RULE_FIELDS]
        labels: ClassVar[dict[str, str]] = {
            "settle_seconds": "Wait for more changes",
            "max_sources": "Notes in one run",
            "on_automation": "Fire for changes that runs made, too",
        }
        help_texts: ClassVar[dict[str, str]] = {
            "enabled": "A rule that is not enabled never fires and cannot be launched.",
            "settle_seconds": "In seconds. A run starts so long after its first change, so that a burst of them shares "
            "one run.",
            "max_sources": "At the most. More notes make several runs. Empty: the action's own default.",
            "on_automation": "Otherwise only what people do makes it fire. Never for its own changes, and never "
            "deeper than three runs.",
        }

    def clean_condition_json(self) -> Any:
        given = self.cleaned_data["condition_json"]
        return {} if given is None else given

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        unread = tuple(self._unread())
        wrong = rule_faults({name: value for name, value in self.cleaned_data.items() if name in services.RULE_FIELDS})
        self.faults = (*unread, *wrong)
        if wrong:
            show_refusal(self, RuleInvalid(wrong))
        return cleaned

    def _unread(self) -> Iterator[Fault]:
        """What is not even of the kind that its field takes."""
        for field, messages in self.errors.items():
            yield from (Fault(field, str(message)) for message in messages)
