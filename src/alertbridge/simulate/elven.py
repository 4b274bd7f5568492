"""Elven's External Service Incident Custom, as its guide documents it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from alertbridge.simulate.exchange import Arrival, Refused, Reply, Taken
from alertbridge.simulate.incidents import ElvenIncidents
from alertbridge.simulate.refusals import reasons, refuse_content, refuse_method

_USER_AGENT = "1PcustomAuth/1.0"
_OK = Reply(200, b'{"message": "ok"}')

_Text = Annotated[str, Field(min_length=1)]
_Severity = Literal["critical", "high", "moderate", "low", "informational"]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Tag(_Model):
    """One entry of `tags`."""

    name: str
    value: str


class Alarmed(_Model):
    """Opens an incident."""

    action: Literal["alarmed"]
    external_aggregate_key: _Text
    title: _Text
    description: _Text
    severity: _Severity
    tags: list[Tag] = []


class Resolved(_Model):
    """Closes an incident. Only the key is required; what else is said must have its documented type."""

    action: Literal["resolved"]
    external_aggregate_key: _Text
    title: str = ""
    description: str = ""
    severity: _Severity = "informational"  # never read: a resolve changes no severity
    tags: list[Tag] = []


ElvenMessage: TypeAlias = Alarmed | Resolved
_MESSAGE: TypeAdapter[ElvenMessage] = TypeAdapter(Annotated[ElvenMessage, Field(discriminator="action")])


class Elven:
    """Refuses what the guide does not allow, and keeps one state per `external_aggregate_key`.

    `tokens` None accepts any token that is not empty.
    """

    def __init__(self, *, tokens: frozenset[str] | None, keep: int) -> None:
        self._tokens = tokens
        self._incidents = ElvenIncidents(keep=keep)

    def key(self, body: Any) -> str | None:
        """The `external_aggregate_key`, where there is one."""
        key = body.get("external_aggregate_key") if isinstance(body, dict) else None
        return key if isinstance(key, str) else None

    def judge(self, arrival: Arrival) -> ElvenMessage | Refused:
        """The message, or 400, 401, 405, 413 or 415 with the reason."""
        refused = (
            refuse_method(arrival)
            or self._refuse_token(arrival.path or arrival.query.get("token", ""))
            or _refuse_user_agent(arrival)
            or refuse_content(arrival)
        )
        if refused is not None:
            return refused
        try:
            return _MESSAGE.validate_python(arrival.content.body)
        except ValidationError as error:
            return Refused(400, reasons(error, tag="action"))

    def take(self, message: ElvenMessage, *, seq: int, at: datetime) -> Taken:
        """Open or close the incident; an unknown resolve is accepted and noted, as nothing forbids it."""
        key = message.external_aggregate_key
        match message:
            case Alarmed():
                self._incidents.alarm(key, severity=message.severity, title=message.title, seq=seq, at=at)
                return Taken(_OK)
            case Resolved():
                known = self._incidents.resolve(key, seq=seq, at=at)
                return Taken(_OK, None if known else "resolved for a key that was never alarmed")

    def believed(self) -> dict[str, Any]:
        """The incidents by key; see `ElvenIncidents.present`."""
        return self._incidents.present()

    def forget(self) -> None:
        """Know no incident."""
        self._incidents.forget()

    def _refuse_token(self, token: str) -> Refused | None:
        if not token:
            return Refused(401, "token: missing in the URL")
        if self._tokens is not None and token not in self._tokens:
            return Refused(401, "token: unknown")
        return None


def _refuse_user_agent(arrival: Arrival) -> Refused | None:
    if arrival.headers.get("User-Agent") == _USER_AGENT:
        return None
    return Refused(400, f"User-Agent: must be {_USER_AGENT}")
