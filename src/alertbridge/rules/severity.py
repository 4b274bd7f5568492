"""From the words people write for severities to the five that are sent."""

from __future__ import annotations

from collections.abc import Mapping

from alertbridge.model import Severity

_USUAL = {
    "page": Severity.CRITICAL,
    "fatal": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
    "disaster": Severity.CRITICAL,
    "error": Severity.HIGH,
    "major": Severity.HIGH,
    "warning": Severity.MODERATE,
    "warn": Severity.MODERATE,
    "medium": Severity.MODERATE,
    "minor": Severity.LOW,
    "info": Severity.INFORMATIONAL,
    "information": Severity.INFORMATIONAL,
    "none": Severity.INFORMATIONAL,
    "debug": Severity.INFORMATIONAL,
}
_FIVE = {severity.word: severity for severity in Severity}


class SeverityWords:
    """Known words in any case: the configured ones first, then the five, then what monitoring usually says."""

    def __init__(self, configured: Mapping[str, Severity]) -> None:
        own = {word.strip().casefold(): severity for word, severity in configured.items()}
        self._known = _USUAL | _FIVE | own

    def meaning(self, word: str) -> Severity | None:
        """The severity a word stands for, or None where nobody has said."""
        return self._known.get(word.strip().casefold())
