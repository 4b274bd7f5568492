"""Labels that rules speak of and that no alert has, with their places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from alertbridge.config.document import Data, Document, Path
from alertbridge.config.suggest import nearest
from alertbridge.errors import Problem
from alertbridge.rules.mentions import Mention, in_matchers, in_template

_TESTS: Final = "tests"


def find_unseen(documents: Iterable[Document], *, seen: Collection[str], among: str) -> Iterator[Problem]:
    """A warning wherever a matcher, a template or a lookup table goes by a label that is not in `seen`, nor set by a rule.

    The `documents` are those of a configuration that loads; `among` says what was looked at.
    """
    documents = tuple(documents)
    seen = {*seen, *(name for document in documents for name in _set_by_rules(document))}
    for document in documents:
        for path, mention in _mentions(document):
            if mention.name not in seen:
                near = nearest(mention.name, seen)
                yield document.problem(
                    path,
                    f'no alert in {among} has the label "{mention.name}"',
                    f'did you mean "{near}"?' if near else "look whether its name is right",
                    offset=mention.offset,
                    level="warning",
                )


def _set_by_rules(document: Document) -> Iterator[str]:
    """The labels that rules set, which alerts need not have."""
    rules = document.data.get("rules")
    for index in range(len(rules) if isinstance(rules, list) else 0):
        labels = document.at(("rules", index, "set", "labels"))
        yield from labels if isinstance(labels, dict) else ()


def _mentions(document: Document) -> Iterator[tuple[Path, Mention]]:
    for path, text in _texts((), {name: part for name, part in document.data.items() if name != _TESTS}):
        match path:
            case ("rules", _, "when", *_):
                found = in_matchers(text)
            case ("lookup", _, "by"):
                found = iter([Mention(text, 0)])
            case _:
                found = in_template(text)
        yield from ((path, mention) for mention in found)


def _texts(path: Path, data: Data | Mapping[str, Data]) -> Iterator[tuple[Path, str]]:
    match data:
        case str():
            yield path, data
        case list():
            for index, part in enumerate(data):
                yield from _texts((*path, index), part)
        case Mapping():
            for name, part in data.items():
                yield from _texts((*path, name), part)
        case _:
            pass
