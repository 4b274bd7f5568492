"""The content of an incident: for every field the first value found, and where it was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from alertbridge.errors import RenderingFailed
from alertbridge.model import JSON, Content, Field
from alertbridge.rules.subject import Subject
from alertbridge.rules.template import CONTENT_NAMES, Template

T = TypeVar("T")
FieldTemplate: TypeAlias = Template | tuple[Template, ...] | Mapping[str, Template]

# What is known of a service: texts, and lists of texts.
Entry: TypeAlias = Mapping[str, str | tuple[str, ...]]

_MAPPINGS = ("labels", "annotations", "group")


@dataclass(frozen=True, slots=True)
class DefaultedField:
    """A field with its default compiled; raises TemplateError for a default that is no good template."""

    field: Field
    default: Template

    @classmethod
    def compile(cls, field: Field) -> DefaultedField:
        """The field, ready to be rendered."""
        return cls(field, Template.compile(field.default, names=CONTENT_NAMES))


def render_content(
    fields: Iterable[DefaultedField],
    *,
    templates: Mapping[str, FieldTemplate],
    subject: Subject,
    entry: Entry,
) -> Content:
    """The content for `subject`: the rule's `templates` first, then what is looked up, then the defaults.

    An empty value counts as none, and a field without any value is left out. A template that fails counts as
    empty too, with a sentence in `failures`.
    """
    values: dict[str, JSON] = {}
    origins: dict[str, str] = {}
    failures: dict[str, str] = {}
    for each in fields:
        name = each.field.name
        for origin, candidate in _candidates(each, templates.get(name), subject, entry):
            try:
                value = _shaped(candidate, each.field.shape, subject)
            except RenderingFailed as error:
                failures.setdefault(name, f"{name} from the {origin}: {error}")
                continue
            if value:
                values[name], origins[name] = value, origin
                break
    return Content(values, origins, failures, subject.alert.id)


def renewed(fields: Iterable[DefaultedField], *, before: Content, now: Content) -> Content:
    """`now`, where it may take the place of `before`; equal to `before` where nothing is new.

    What was looked up stays as it was found: it tells what caused the incident. A field whose template fails keeps
    what it said of the same alert, so that a failure that comes and goes is no change.
    """
    kept = {each.field.name for each in fields if each.field.looked_up and each.field.name in before.fields}
    if now.speaker == before.speaker:
        kept |= now.failures.keys()
    return replace(
        now,
        fields=_laid_over(now.fields, before.fields, kept),
        origins=_laid_over(now.origins, before.origins, kept),
    )


def _laid_over(now: Mapping[str, T], before: Mapping[str, T], kept: set[str]) -> dict[str, T]:
    """`now`, but what is named in `kept` as it was before, absent where it was absent."""
    return {name: value for name, value in now.items() if name not in kept} | {
        name: value for name, value in before.items() if name in kept
    }


def _candidates(
    each: DefaultedField, template: FieldTemplate | None, subject: Subject, entry: Entry
) -> Iterator[tuple[str, FieldTemplate | str]]:
    """What may give the value, best first, each with the name of its origin."""
    if template is not None:
        yield "rule", template
    if each.field.looked_up:
        name = each.field.name
        yield "label", subject.alert.labels.get(name, "")
        yield "annotation", subject.alert.annotations.get(name, "")
        found = entry.get(name, "")
        yield "service", found if isinstance(found, str) else ",".join(found)
    yield "default", each.default


def _shaped(candidate: FieldTemplate | str, shape: Field.Shape, subject: Subject) -> JSON:
    """The value in the shape of the field, empty where there is none; raises RenderingFailed."""
    if isinstance(candidate, Template):
        candidate = subject.text(candidate)
    match shape, candidate:
        case Field.Shape.TEXT, str(text):
            return text.strip()
        case Field.Shape.LIST, str(text):
            return [item.strip() for item in text.split(",") if item.strip()]
        case Field.Shape.LIST, tuple(templates):
            return [text for template in templates if (text := subject.text(template))]
        case Field.Shape.MAPPING, str(word):
            return _mapping_named(word, subject)
        case Field.Shape.MAPPING, Mapping() as templates:
            return {name: text for name, template in templates.items() if (text := subject.text(template))}
        case _:
            raise RenderingFailed(f"the field is a {shape.value}, and the rule gives something else")


def _mapping_named(word: str, subject: Subject) -> dict[str, JSON]:
    """All labels, annotations or group labels, as a field's default asks for them by name."""
    if not word:
        return {}
    if word not in _MAPPINGS:
        raise RenderingFailed(f'"{word}" is not one of {", ".join(_MAPPINGS)}')
    named: Mapping[str, str] = getattr(subject.alert, word)
    return {name: value for name, value in named.items() if value}
