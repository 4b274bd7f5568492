"""`defaults:` of a file given to its rules, before anything else is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from alertbridge.config.document import Data, Document, Path
from alertbridge.config.rule_settings import DefaultsSettings
from alertbridge.config.shape import keys

_SEND: Final = "send"
_OF_RULES: Final = tuple(key for key in keys(DefaultsSettings) if key != _SEND)
_ALSO_ON_RULES: Final = ("resend", "unknown_resolved")


def with_defaults(document: Document) -> Document:
    """The document, each of whose rules has what the file's defaults say and it does not.

    What came from there has its place there, so that a mistake in it is one mistake, however many rules have it.
    """
    defaults, rules = document.data.get("defaults"), document.data.get("rules")
    if not isinstance(defaults, dict) or not isinstance(rules, list):
        return document
    filling = _Filling(defaults)
    filled = [
        filling.rule(rule, ("rules", index)) if isinstance(rule, dict) else rule
        for index, rule in enumerate(rules)
    ]
    return replace(document, data={**document.data, "rules": filled}, origins=filling.origins)


class _Filling:
    """Fills rules, and notes in `origins` which of their paths lead to what stands under another."""

    def __init__(self, defaults: Mapping[str, Data]) -> None:
        self.origins: dict[Path, Path] = {}
        self._defaults = {name: value for name, value in defaults.items() if value is not None}

    def rule(self, rule: dict[str, Data], path: Path) -> dict[str, Data]:
        """The rule with all that it does not say itself."""
        own = {name: self._defaults[name] for name in _OF_RULES if name in self._defaults}
        if _SEND not in rule:  # it drops and so ends the search, or only sets and so does not
            own.pop("continue", None)
        filled = self._merged(rule, own, path, ("defaults",))
        fields = self._defaults.get(_SEND)
        if isinstance(fields, dict) and _SEND in rule:
            said = tuple(name for name in _ALSO_ON_RULES if name in rule)
            filled[_SEND] = self._send(rule[_SEND], fields, (*path, _SEND), said)
        return filled

    def _send(self, send: Data, fields: Mapping[str, Data], path: Path, said: tuple[str, ...]) -> Data:
        """Where the rule sends to, with the fields for it; but for those that it has `said` for all destinations."""
        if isinstance(send, list) and all(isinstance(name, str) for name in send):
            self.origins |= {(*path, str(name)): (*path, index) for index, name in enumerate(send)}
            send = {str(name): None for name in send}
        if not isinstance(send, dict):
            return send
        filled = dict(send)
        for name, own in send.items():
            given = fields.get(name)
            if isinstance(given, dict) and (own is None or isinstance(own, dict)):
                wanted = {field: value for field, value in given.items() if field not in said}
                filled[name] = self._merged(own or {}, wanted, (*path, name), ("defaults", _SEND, name))
        return filled

    def _merged(
        self, own: dict[str, Data], given: Mapping[str, Data], path: Path, origin: Path
    ) -> dict[str, Data]:
        """Both, with `own` first; mappings in them are merged in the same way."""
        merged = dict(own)
        for name, value in given.items():
            mine = own.get(name)
            if name not in own:
                merged[name] = value
                self.origins[*path, name] = (*origin, name)
            elif isinstance(mine, dict) and isinstance(value, dict):
                merged[name] = self._merged(mine, value, (*path, name), (*origin, name))
        return merged
