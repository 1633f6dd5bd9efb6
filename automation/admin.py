"""The admin of rules and runs."""

from automation.rule_admin import RuleAdmin
from automation.run_admin import RunAdmin

__all__ = ["RuleAdmin", "RunAdmin"]
