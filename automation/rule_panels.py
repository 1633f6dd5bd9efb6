"""What other apps have to say on the page of a rule. They add it from their `admin.py`, as they do pages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from automation.models import Rule


@dataclass(frozen=True, slots=True)
class RulePanel:
    """`context` is asked for what `template` shows as `panel`; None leaves it out."""

    template: str
    context: Callable[[Rule], Mapping[str, Any] | None]


_panels: list[RulePanel] = []


def add_rule_panel(template: str, context: Callable[[Rule], Mapping[str, Any] | None]) -> None:
    """Show a panel below a rule's form, to all who may see the rule."""
    _panels.append(RulePanel(template, context))


def rule_panels(rule: Rule) -> list[dict[str, Any]]:
    found = [(panel.template, panel.context(rule)) for panel in _panels]
    return [{"template": template, **context} for template, context in found if context is not None]
