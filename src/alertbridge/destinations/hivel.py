"""Hivel, Incident API: one finished record per incident, laid to the change that caused it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar

from alertbridge.destinations import answers
from alertbridge.destinations.change import pull_request_number, repository_url
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
    Severity,
)

_LIMIT = 255
_INFERRED = " (end inferred)"
_WORDS: Mapping[Severity, str] = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "high",
    Severity.MODERATE: "medium",
    Severity.LOW: "low",
    Severity.INFORMATIONAL: "low",
}
_DESCRIPTION = (
    "{% if annotations.summary or annotations.description or annotations.message %}"
    "{{ annotations.summary or annotations.description or annotations.message }}"
    "{% else %}{{ labels.alertname }}"
    "{% if service or labels.instance %} ({{ service or labels.instance }}){% endif %}"
    "{% endif %}"
)


class AuthHeader(StrEnum):
    """How the token is sent: the vendor's pages name three ways."""

    X_API_TOKEN = "X-API-Token"  # noqa: S105 - the name of a header
    AUTHORIZATION = "Authorization"
    BEARER = "Bearer"

    def carrying(self, token: str) -> dict[str, str]:
        """The one header with `token` in it."""
        if self is AuthHeader.BEARER:
            return {"Authorization": f"Bearer {token}"}
        return {self.value: token}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hivel:
    """One organisation. `severities` replaces the words of those severities that it names.

    `inferred_in` is the field that says so where the end of an incident was inferred: `description`, `reported_by` or none.
    """

    TYPE: ClassVar[str] = "hivel"
    REPORTING: ClassVar[Reporting] = Reporting.RECORD
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("description", _DESCRIPTION, description="What happened; cut to 255 characters."),
        Field(
            "affected_systems",
            "{{ service }}",
            shape=Field.Shape.LIST,
            looked_up=True,
            description="The systems that suffered, as a list or parted by commas.",
        ),
        Field("reported_by", "alertbridge/{{ source }}", description="Who reported it."),
        Field(
            "repo_url", looked_up=True, description="Required: the repository of the change that caused it."
        ),
        Field(
            "pr_number", looked_up=True, description="Required: the pull request that caused it, not its fix."
        ),
    )

    name: str
    base_url: str
    path: str
    token: Secret
    auth_header: AuthHeader
    severities: Mapping[Severity, str] = field(default_factory=dict)
    keep_git_suffix: bool = False
    inferred_in: str = "reported_by"
    deployment_path: str = "/api/hooks/v2/deployment"

    def compose(self, message: Message) -> Composed:
        """The record in the documented order; fields without a value are left out, required ones also named."""
        fields = message.content.fields
        repository = repository_url(fields.get("repo_url"), keep_git_suffix=self.keep_git_suffix)
        payload: dict[str, JSON] = {
            "description": self._text("description", message),
            "severity": self._word(message.severity),
            "affected_systems": _systems(fields.get("affected_systems")),
            "reported_time": _time(message.opened_at),
            "reported_by": self._text("reported_by", message),
            "resolution_time": _time(max(message.opened_at, message.closed_at)) if message.closed_at else "",
            "provider_id": identifier(message.incident, _LIMIT),
            "repo_url": repository if len(repository) <= _LIMIT else "",
            "pr_number": pull_request_number(fields.get("pr_number")),
        }
        # A record of an incident that is not over can be previewed, but not sent.
        required = ("repo_url", "pr_number", "resolution_time")
        return Composed(
            payload={name: value for name, value in payload.items() if value},
            missing=tuple(name for name in required if not payload[name]),
        )

    def _text(self, name: str, message: Message) -> str:
        """A field as it is sent, with the remark that the end was inferred where that is to stand."""
        remark = _INFERRED if message.inferred and name == self.inferred_in else ""
        return cut(plain(message.content.fields.get(name)), _LIMIT - len(remark)) + remark

    def _word(self, severity: Severity) -> str:
        return cut(plain(self.severities.get(severity)), _LIMIT) or _WORDS[severity]

    def request(self, payload: Mapping[str, JSON], action: Action) -> Request:
        """A POST to the endpoint of incidents, or to that of deployments, with the token in the configured header."""
        path = self.deployment_path if action is Action.DEPLOYMENT else self.path
        return Request(
            url=f"{self.base_url.rstrip('/')}/{path.lstrip('/')}",
            headers=self.auth_header.carrying(self.token.reveal()) | {"Content-Type": "application/json"},
            body=json.dumps(payload, ensure_ascii=False, default=dict).encode("utf-8", "replace"),
        )

    def interpret(self, response: Response) -> Outcome:
        """By the status; the reference of a delivered record is Hivel's `incident_id`."""
        return answers.interpret(response, secrets=(self.token.reveal(),))

    def redact(self, text: str) -> str:
        """`text` as it may be stored and shown: without the token."""
        return answers.redact(text, (self.token.reveal(),))


def _systems(value: JSON) -> list[JSON]:
    """Each system once, in the order given; a text is read as names parted by commas."""
    given = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return list(dict.fromkeys(text for text in (cut(plain(item), _LIMIT) for item in given) if text))


def _time(moment: datetime) -> str:
    """`2024-08-01T12:34:56Z`: whole seconds, cut and not rounded, so that order is kept."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
