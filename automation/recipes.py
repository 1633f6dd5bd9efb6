"""Rules to start from: each fills the form, and nothing is saved until a person has looked at it."""

import copy
from dataclasses import dataclass, field
from typing import Any

from automation import actions
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import is_superuser


@dataclass(frozen=True, slots=True)
class Recipe:
    """`values` are those of the form; what they leave out, the form has by default."""

    slug: str
    title: str
    about: str
    values: dict[str, Any] = field(default_factory=dict)


def _librarian(**plan: Any) -> dict[str, Any]:
    return {"kind": "librarian_structure", "provider": {"provider_kind": "offline"}, "plan": plan}


RECIPES = (
    Recipe(
        "tag-inbox",
        "Tag the inbox",
        "Whenever a note in the folder “inbox” has no tags, the librarian proposes some that other notes bear.",
        {
            "name": "Tag the inbox",
            "trigger": "note.changed",
            "condition_json": {"folder": "inbox", "untagged": True},
            "action_json": _librarian(allowed_kinds=["retag_note"]),
        },
    ),
    Recipe(
        "link-new-notes",
        "Link new notes",
        "When a note comes in that is connected with no other, the librarian proposes links to the notes it names.",
        {
            "name": "Link new notes",
            "trigger": "note.created",
            "condition_json": {"kind": "markdown", "orphan": True},
            "action_json": _librarian(allowed_kinds=["relink_note"]),
            "settle_seconds": 60,
        },
    ),
    Recipe(
        "nightly-export",
        "Nightly Markdown export",
        "Every night at 3:00, all notes and attachments go into a zip archive that any other tool can read.",
        {
            "name": "Nightly Markdown export",
            "trigger": "schedule",
            "schedule": "0 3 * * *",
            "condition_json": {},
            "action_json": {"kind": "export_markdown"},
        },
    ),
    Recipe(
        "weekly-backup",
        "Weekly backup",
        "Every Sunday at 4:00, the database is backed up into one file, and tried. Attachments are files and not in "
        "it: `backup_sql --attachments` copies them.",
        {
            "name": "Weekly backup",
            "trigger": "schedule",
            "schedule": "0 4 * * 0",
            "condition_json": {},
            "action_json": {"kind": "sql_backup"},
        },
    ),
)


def offered(user: User) -> list[Recipe]:
    """Those that this person could save: their actions are there, and the person may have them."""
    found = [(recipe, actions.find(recipe.values["action_json"]["kind"])) for recipe in RECIPES]
    return [recipe for recipe, action in found if action and (is_superuser(user) or not action.superusers_only)]


def find(slug: str, user: User) -> Recipe | None:
    return next((recipe for recipe in offered(user) if recipe.slug == slug), None)


def initial(slug: str, user: User) -> dict[str, Any]:
    """What the form of a new rule begins with; empty if there is no such recipe for this person."""
    recipe = find(slug, user)
    return copy.deepcopy(recipe.values) if recipe else {}
