"""The `type` of each source and destination, settled before anything else is read of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from alertbridge.config.destination_settings import DESTINATION_TYPES
from alertbridge.config.document import Document
from alertbridge.config.source_settings import SOURCE_TYPES
from alertbridge.config.suggest import nearest, remedy
from alertbridge.errors import Problem

_TYPES: Final[Mapping[str, Mapping[str, object]]] = {
    "sources": SOURCE_TYPES,
    "destinations": DESTINATION_TYPES,
}


def choose_types(document: Document) -> tuple[dict[str, Any], list[Problem]]:
    """The document's data without the sources and destinations whose type is not known, and why not."""
    data: dict[str, Any] = dict(document.data)
    problems: list[Problem] = []
    for section, types in _TYPES.items():
        entries = data.get(section)
        if not isinstance(entries, Mapping):
            continue
        kept = dict(entries)
        for name, entry in entries.items():
            if isinstance(entry, Mapping) and not _is_known(entry, types):
                problems.append(_unknown(document, (section, name), entry, types))
                del kept[name]
        data[section] = kept
    return data, problems


def words(document: Document, section: str) -> tuple[str, ...]:
    """The keys of a section, whatever stands below them."""
    entries = document.data.get(section)
    return tuple(entries) if isinstance(entries, Mapping) else ()


def destination_types(document: Document) -> dict[str, str]:
    """Every destination's name with its type, or with nothing where the type is not known."""
    entries = document.data.get("destinations")
    if not isinstance(entries, Mapping):
        return {}
    return {
        name: str(entry["type"]) if isinstance(entry, Mapping) and _is_known(entry, DESTINATION_TYPES) else ""
        for name, entry in entries.items()
    }


def check_forward(document: Document) -> list[Problem]:
    """What is wrong with `deployments.forward`: deployments are passed on to Hivel only, for nobody else takes them."""
    section = document.data.get("deployments")
    name = section.get("forward") if isinstance(section, Mapping) else None
    types = destination_types(document)
    if not isinstance(name, str) or types.get(name) in {"hivel", ""}:
        return []
    hivels = [each for each, kind in types.items() if kind == "hivel"]
    problem = "no destination of type hivel is called so"
    return [document.problem(("deployments", "forward"), problem, remedy(name, hivels, noun="write one of"))]


def _is_known(entry: Mapping[str, Any], types: Mapping[str, object]) -> bool:
    kind = entry.get("type")
    return isinstance(kind, str) and kind in types


def _unknown(
    document: Document, path: tuple[str, str], entry: Mapping[str, Any], types: Mapping[str, object]
) -> Problem:
    known = f"known types: {', '.join(sorted(types))}"
    kind = entry.get("type")
    if "type" not in entry:
        return document.problem((*path, "type"), "the type is missing", f"add `type:`; {known}")
    if not isinstance(kind, str):
        return document.problem((*path, "type"), "the type must be text", known)
    near = nearest(kind, types)
    remedy = f'did you mean "{near}"? {known}' if near else known
    return document.problem((*path, "type"), "unknown type", remedy)
