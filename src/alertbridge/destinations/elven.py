"""Elven Platform, External Service Incident Custom: one incident per key, opened and closed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import unquote

from alertbridge.destinations import answers
from alertbridge.destinations.limits import cut, identifier, plain
from alertbridge.model import (
    JSON,
    Action,
    Composed,
    Field,
    Message,
    Outcome,
    Reporting,
    Request,
    Response,
    Secret,
)

DESCRIPTION_LIMIT = 4_000  # characters; the vendor names none
_KEY_LIMIT = 255
_SHORTEST_TOKEN = 8

_TITLE = (
    "{% if annotations.summary %}{{ annotations.summary }}"
    "{% else %}{{ labels.alertname }}"
    "{% if service or labels.instance %} ({{ service or labels.instance }}){% endif %}"
    "{% endif %}"
)
_DESCRIPTION = (
    "{{ annotations.description or annotations.message or annotations.summary or labels.alertname }}"
    "{% if annotations.runbook_url %}\nRunbook: {{ annotations.runbook_url }}{% endif %}"
    "{% if generator_url %}\nSource: {{ generator_url }}{% endif %}"
)


_INFERRED = {"name": "inferred", "value": "true"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Elven:
    """One External Service. Its generated URL holds the token, so the whole URL is the secret.

    `extra_fields` go into every payload and cannot replace a documented field. The vendor names no limits on
    texts: `title_limit`, `description_limit` and `tag_limit` count characters.
    """

    TYPE: ClassVar[str] = "elven"
    REPORTING: ClassVar[Reporting] = Reporting.LIFECYCLE
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("title", _TITLE, description="What the incident is called."),
        Field("description", _DESCRIPTION, description="What is shown as the cause."),
        Field(
            "tags",
            "labels",
            shape=Field.Shape.MAPPING,
            description="Where the incident comes from, as names and values; all labels unless said otherwise.",
        ),
    )

    name: str
    url: Secret
    extra_fields: Mapping[str, JSON] = field(default_factory=dict)
    title_limit: int = 255
    description_limit: int = DESCRIPTION_LIMIT
    tag_limit: int = 255

    def compose(self, message: Message) -> Composed:
        """The documented fields in the documented order, complete for either action."""
        fields = message.content.fields
        key = identifier(message.key, _KEY_LIMIT)
        title = cut(plain(fields.get("title")), self.title_limit)
        title = title or key.strip()[: self.title_limit] or message.incident
        standard: dict[str, JSON] = {
            "title": title,
            "description": cut(plain(fields.get("description")), self.description_limit) or title,
            "external_aggregate_key": key,
            "action": message.action.value,
            "severity": message.severity.word,
            "tags": self._tags(fields.get("tags")) + ([dict(_INFERRED)] if message.inferred else []),
        }
        extra = {name: value for name, value in self.extra_fields.items() if name not in standard}
        return Composed(standard | extra)

    def _tags(self, value: JSON) -> list[JSON]:
        """Names and values in the order given; an empty value says as little as an absent label."""
        if not isinstance(value, Mapping):
            return []
        texts = (
            (cut(plain(name), self.tag_limit), cut(plain(text), self.tag_limit))
            for name, text in value.items()
        )
        return [{"name": name, "value": text} for name, text in texts if name and text]

    def request(self, payload: Mapping[str, JSON], action: Action) -> Request:  # noqa: ARG002 - one address for all
        """A POST to the generated URL, untouched, with the two documented headers."""
        return Request(
            url=self.url.reveal(),
            headers={"Content-Type": "application/json", "User-Agent": "1PcustomAuth/1.0"},
            body=json.dumps(payload, ensure_ascii=False, default=dict).encode("utf-8", "replace"),
        )

    def interpret(self, response: Response) -> Outcome:
        """By the status alone: what Elven says in its bodies is not documented."""
        return answers.interpret(response, secrets=_traces(self.url.reveal()))

    def redact(self, text: str) -> str:
        """`text` as it may be stored and shown: without the URL or any part of it that can be the token."""
        return answers.redact(text, _traces(self.url.reveal()))


def _traces(url: str) -> set[str]:
    """The URL, and the parts of its path and query that are long enough to be a token."""
    after_host = url.partition("://")[2].partition("/")[2]
    parts = {part for part in re.split(r"[/?&=#]", after_host) if len(part) >= _SHORTEST_TOKEN}
    return {url, *parts, *map(unquote, parts)}
