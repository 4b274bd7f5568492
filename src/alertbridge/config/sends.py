"""`send:` of a rule: which destinations, and what is set for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alertbridge.config.document import Data, Path
from alertbridge.config.refuse import kind
from alertbridge.config.rule_settings import RuleSettings, SendSettings
from alertbridge.config.suggest import nearest, remedy
from alertbridge.config.templates import TemplateReader
from alertbridge.destinations.elven import Elven
from alertbridge.destinations.hivel import Hivel
from alertbridge.model import Field, Severity
from alertbridge.rules.rulebook import FieldTemplate, Send, Target
from alertbridge.rules.severity import SeverityWords
from alertbridge.rules.template import CONTENT_NAMES, Template

TARGETS: Final[Mapping[str, Target]] = {
    Elven.TYPE: Target(Elven.REPORTING, Elven.FIELDS),
    Hivel.TYPE: Target(Hivel.REPORTING, Hivel.FIELDS),
}
_OF_EVERY_DESTINATION: Final = tuple(SendSettings.model_fields)
_WHOLE_MAPPINGS: Final = ("labels", "annotations", "group")


class SendReader:
    """Reads the `send:` of rules of one document.

    `destinations` leads from names to types, to the empty text where the type is not known.
    """

    def __init__(
        self, *, reader: TemplateReader, destinations: Mapping[str, str], severities: tuple[str, ...]
    ) -> None:
        self._reader = reader
        self._destinations = destinations
        self._severities = severities

    def read(self, path: Path, data: Data, settings: RuleSettings | None) -> dict[str, Send]:
        """What is sent where, in the order written; `settings` is None if the rule did not validate."""
        entries: Mapping[str, Data] = {}
        if isinstance(data, list):
            for index, name in enumerate(data):
                self._check_destination((*path, index), name)
            entries = {name: None for name in data if isinstance(name, str)}
        elif isinstance(data, dict):
            for name in data:
                self._check_destination((*path, name), name)
            entries = data
        sends: dict[str, Send] = {}
        for name, given in entries.items():
            fields = given if isinstance(given, dict) else {}
            severity = self._severity((*path, name, "severity"), fields.get("severity"))
            templates = self._fields((*path, name), name, fields)
            if settings is not None:
                sends[name] = _send(settings, settings.send[name], templates, severity)
        return sends

    def _check_destination(self, path: Path, name: Data) -> None:
        if isinstance(name, str) and name not in self._destinations:
            advice = remedy(name, self._destinations, noun="known destinations")
            self._reader.refuse(path, f'there is no destination "{name}"', advice, key=True)

    def _severity(self, path: Path, data: Data) -> Template | None:
        if not isinstance(data, str) or not data.strip():
            return None
        template = self._reader.read(path, data)
        if template is None or template.literal is None:
            return template
        if (
            SeverityWords(dict.fromkeys(self._severities, Severity.MODERATE)).meaning(template.literal)
            is None
        ):
            known = [*(severity.word for severity in reversed(Severity)), *self._severities]
            near = nearest(template.literal, known)
            advice = f'did you mean "{near}"?' if near else f"write one of {', '.join(known)}"
            self._reader.refuse(path, "unknown severity", advice)
        return template

    def _fields(self, path: Path, destination: str, data: Mapping[str, Data]) -> dict[str, FieldTemplate]:
        target = TARGETS.get(self._destinations.get(destination, ""))
        offered = {field.name: field for field in target.fields} if target else {}
        templates: dict[str, FieldTemplate] = {}
        for name, value in data.items():
            field = offered.get(name)
            if field is not None:
                template = self._field((*path, name), field, value)
                if template is not None:
                    templates[name] = template
            elif target is not None and name not in _OF_EVERY_DESTINATION:
                self._refuse_field((*path, name), name, [*offered, *_OF_EVERY_DESTINATION])
        return templates

    def _refuse_field(self, path: Path, name: str, known: list[str]) -> None:
        near = nearest(name, known)
        all_of_them = f"known fields: {', '.join(known)}"
        advice = f'did you mean "{near}"? {all_of_them}' if near else all_of_them
        self._reader.refuse(path, "unknown field", advice, key=True)

    def _field(self, path: Path, field: Field, value: Data) -> FieldTemplate | None:
        match field.shape, value:
            case Field.Shape.LIST, list():
                each = [self._reader.read((*path, index), item) for index, item in enumerate(value)]
                return tuple(template for template in each if template is not None)
            case Field.Shape.MAPPING, dict():
                named = {name: self._reader.read((*path, name), item) for name, item in value.items()}
                return {name: template for name, template in named.items() if template is not None}
            case Field.Shape.MAPPING, str() if value.strip() in _WHOLE_MAPPINGS:
                return Template.compile(value, names=CONTENT_NAMES)
            case Field.Shape.MAPPING, _:
                advice = f"write `name: value` lines below it, or one of {', '.join(_WHOLE_MAPPINGS)}"
                self._reader.refuse(path, f"expected a mapping, got {kind(value)}", advice)
                return None
            case _:
                return self._reader.read(path, value)


def _send(
    rule: RuleSettings,
    own: SendSettings,
    fields: Mapping[str, FieldTemplate],
    severity: Template | None,
) -> Send:
    """What stands under `send.<destination>` goes before what stands on the rule."""
    unknown_resolved = own.unknown_resolved or rule.unknown_resolved
    return Send(
        fields=fields,
        severity=severity,
        resend=own.resend or rule.resend,
        unknown_resolved=unknown_resolved == "send",
    )
