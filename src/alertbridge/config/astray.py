"""Secrets where they do not belong: what a rule says is sent, stored and shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from alertbridge.config.document import Data, Document, Path
from alertbridge.config.secrets import like_a_token
from alertbridge.errors import Problem
from alertbridge.model import Secret

_SAID = ("rules", "defaults", "templates", "services", "heartbeats", "severities")
_ONLY_ASKED = "when"  # what a matcher holds is compared, and is kept and shown without secrets


def find_astray(documents: Iterable[Document], secrets: Iterable[Secret]) -> list[Problem]:
    """A Problem for every text of rules, templates, services or heartbeats that holds one of `secrets`.

    A secret that is merely a word is let pass: it may well stand there by itself.
    """
    known = {secret.reveal() for secret in secrets if like_a_token(secret.reveal())}
    return [
        document.problem(
            path,
            "this holds a secret of the configuration, and what stands here is sent, stored and shown",
            "leave it out; secrets belong under `sources:`, `destinations:` and the like",
        )
        for document in documents
        for section in _SAID
        for path, text in _texts(document.data.get(section), (section,))
        if any(secret in text for secret in known)
    ]


def _texts(data: Data, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text below `data`, names among them, with its path."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, list):
        for index, each in enumerate(data):
            yield from _texts(each, (*path, index))
    elif isinstance(data, dict):
        for name, each in data.items():
            yield (*path, name), name
            if name != _ONLY_ASKED:
                yield from _texts(each, (*path, name))
