"""What a template needs while it runs, besides the alert: found and checked when it was compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from alertbridge.rules.severity import SeverityWords
from alertbridge.rules.substitution import Substitution


class Expandable(Protocol):
    """A template that others use by name."""

    @property
    def cost(self) -> int:
        """How many operations it holds."""
        ...

    def expand(self, names: Mapping[str, object]) -> str:
        """The text as part of a larger rendering; raises whatever a template may raise."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """By what is written in the template: the templates it names, its substitutions and its time zones."""

    templates: Mapping[str, Expandable]
    substitutions: Mapping[tuple[str, str], Substitution]
    zones: Mapping[str, ZoneInfo]
    severities: SeverityWords
