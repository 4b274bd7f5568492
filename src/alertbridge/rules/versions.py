"""Which value of a field a condition speaks of, where rules between two conditions may have set another one."""

from __future__ import annotations

from alertbridge.rules.matcher import Matcher
from alertbridge.rules.rulebook import Rule


class Versions:
    """How many of the rules so far may have set each field of an alert that goes on."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}

    def set_by(self, rule: Rule) -> None:
        """The rule may have matched, and the alert goes on."""
        if rule.sets is None:
            return
        for field, names in (("labels", rule.sets.labels), ("annotations", rule.sets.annotations)):
            for name in names:
                self._known[field, name] = self._known.get((field, name), 0) + 1

    def subject(self, matcher: Matcher) -> tuple[str, str, int]:
        """Where the matcher looks, and how many rules may have set what stands there by now."""
        return (matcher.field, matcher.name, self._known.get((matcher.field, matcher.name), 0))
