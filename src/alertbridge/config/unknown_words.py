"""Words in rules that lead nowhere: sources and services that are not there, severities that nobody explained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from alertbridge.config.document import Data, Document, Path
from alertbridge.config.sends import TARGETS
from alertbridge.config.settings import Settings
from alertbridge.config.shadows import rule_places
from alertbridge.config.suggest import nearest, remedy
from alertbridge.errors import Problem
from alertbridge.model import Severity
from alertbridge.rules.extent import Shape, extent
from alertbridge.rules.matcher import Operator, parse_matchers
from alertbridge.rules.rulebook import Rule
from alertbridge.rules.severity import SeverityWords

_SOURCE = ("source", "")
_SERVICE = ("labels", "service")
_SEVERITY = ("labels", "severity")


class _Asked(NamedTuple):
    """A value that a rule asks for: where an alert would hold it, and where it stands in the file."""

    subject: tuple[str, str]
    value: str
    path: Path
    offset: int = 0


def find_unknown_words(
    documents: Iterable[Document], rules: Iterable[Rule], *, settings: Settings
) -> Iterator[Problem]:
    """A warning for each such word where it stands; an unknown severity is named once."""
    places = rule_places(documents)
    severities: dict[str, Problem] = {}
    for rule in rules:
        document, path = places[rule.name]
        asked = [each for each in _asked(document.at((*path, "when")), (*path, "when")) if each.value]
        yield from _sources(document, asked, settings)
        changed = {("labels", name) for name in (rule.sets.labels if rule.sets else ())}
        asked = [each for each in asked if each.subject not in changed]
        said = document.at((*path, "service"))
        if rule.service is None:
            services = asked if _looks_up(rule, settings) else []
        else:
            literal = rule.service.literal if isinstance(said, str) else None
            services = [_Asked(_SERVICE, literal, (*path, "service"))] if literal else []
        yield from _services(document, services, settings)
        if any(send.severity is None for send in rule.send.values()):
            for problem, word in _severities(document, asked, settings):
                severities.setdefault(word, problem)
    yield from severities.values()


def find_unknown_sources(document: Document, path: Path, *, settings: Settings) -> Iterator[Problem]:
    """A warning for every source that the condition at `path` asks for and that is not there."""
    yield from _sources(document, [each for each in _asked(document.at(path), path) if each.value], settings)


def _asked(data: Data, path: Path) -> Iterator[_Asked]:
    """The values that a condition asks for, as far as they are few; what stands below a `not` is not asked for."""
    match data:
        case str():
            for matcher in parse_matchers(data):
                texts = extent(matcher)
                if matcher.operator in (Operator.EQUAL, Operator.MATCHES) and not isinstance(texts, Shape):
                    for text in sorted(texts):
                        yield _Asked((matcher.field, matcher.name), text, path, max(0, data.find(text)))
        case list():
            for index, item in enumerate(data):
                yield from _asked(item, (*path, index))
        case dict():
            for key, item in data.items():
                if key != "not":
                    yield from _asked(item, (*path, key))
        case _:
            pass


def _looks_up(rule: Rule, settings: Settings) -> bool:
    """Whether something that the rule sends is looked up in the catalogue."""
    return any(
        field.looked_up and field.name not in send.fields
        for name, send in rule.send.items()
        for field in TARGETS[settings.destinations[name].type].fields
    )


def _warning(document: Document, asked: _Asked, problem: str, advice: str) -> Problem:
    return document.problem(asked.path, problem, advice, offset=asked.offset, level="warning")


def _sources(document: Document, asked: Iterable[_Asked], settings: Settings) -> Iterator[Problem]:
    for each in asked:
        if each.subject == _SOURCE and each.value not in settings.sources:
            advice = remedy(each.value, settings.sources, noun="known sources")
            yield _warning(document, each, f'there is no source "{each.value}"', advice)


def _services(document: Document, asked: Iterable[_Asked], settings: Settings) -> Iterator[Problem]:
    for each in asked:
        if settings.services and each.subject == _SERVICE and each.value not in settings.services:
            near = nearest(each.value, settings.services)
            yield _warning(
                document,
                each,
                f'the service "{each.value}" is not under `services:`, so nothing is looked up for it',
                f'did you mean "{near}"? If not, add it there' if near else "add it there",
            )


def _severities(
    document: Document, asked: Iterable[_Asked], settings: Settings
) -> Iterator[tuple[Problem, str]]:
    words = SeverityWords(settings.severities)
    for each in asked:
        if each.subject == _SEVERITY and words.meaning(each.value) is None:
            near = nearest(each.value, [*(severity.word for severity in Severity), *settings.severities])
            advice = f"add under `severities:` what it means, such as `{each.value}: high`"
            yield (
                _warning(
                    document,
                    each,
                    f'nobody has said how severe "{each.value}" is, so it is sent as moderate',
                    f'did you mean "{near}"? If not, {advice}' if near else advice,
                ),
                each.value.strip().casefold(),
            )
