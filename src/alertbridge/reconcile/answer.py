"""What a peer answers: `GET /api/v2/alerts` and `/api/v2/status` of an Alertmanager, read into values.

Unknown fields are ignored, since versions differ. Whatever is not such an answer makes the peer unknown: nothing is
ever concluded from half of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

_SETTLING = "settling"


@dataclass(frozen=True, slots=True)
class Listed:
    """One alert as a peer lists it; what has resolved is not listed.

    `state` is `active`, `suppressed` (silenced or inhibited), or another word while the peer does not know yet.
    """

    fingerprint: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    generator_url: str = ""
    receivers: frozenset[str] = frozenset()

    @property
    def active(self) -> bool:
        """Whether it fires and is told to its receivers."""
        return self.state == "active"

    @property
    def suppressed(self) -> bool:
        """Whether it fires and is told to nobody."""
        return self.state == "suppressed"


@dataclass(frozen=True, slots=True)
class Told:
    """What a peer says, that has been up long enough to know: its alerts by fingerprint."""

    peer: str
    alerts: Mapping[str, Listed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A peer of which nothing is known now, and why."""

    peer: str
    reason: str


Answer: TypeAlias = Told | Unknown


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Receiver(_Lenient):
    name: str


class _Status(_Lenient):
    state: str


class _Alert(_Lenient):
    fingerprint: str = Field(min_length=1)
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    generator_url: str = Field("", alias="generatorURL")
    receivers: list[_Receiver]
    status: _Status


class _Cluster(_Lenient):
    status: str


class _StatusPage(_Lenient):
    uptime: AwareDatetime
    cluster: _Cluster


_ALERTS = TypeAdapter(list[_Alert])


def understand(peer: str, *, alerts: bytes, status: bytes, now: datetime, grace: timedelta) -> Answer:
    """What the two bodies say, or why that says nothing.

    `alerts` must have been read before `status`: then a peer that restarts between the two shows it.
    """
    try:
        page = _StatusPage.model_validate_json(status)
    except ValidationError as error:
        return Unknown(peer, f"its status is not that of an Alertmanager: {_first(error)}")
    if page.cluster.status == _SETTLING:
        return Unknown(peer, "its cluster is settling")
    up = now - page.uptime
    if up < grace:
        return Unknown(peer, f"it is up for {max(0, int(up.total_seconds()))} s only, within grace")
    try:
        entries = _ALERTS.validate_json(alerts)
    except ValidationError as error:
        return Unknown(peer, f"its alerts are not those of an Alertmanager: {_first(error)}")
    return Told(peer, {entry.fingerprint: _listed(entry) for entry in entries})


def _listed(entry: _Alert) -> Listed:
    return Listed(
        fingerprint=entry.fingerprint,
        state=entry.status.state,
        labels=entry.labels,
        annotations=entry.annotations,
        starts_at=entry.starts_at,
        generator_url=entry.generator_url,
        receivers=frozenset(receiver.name for receiver in entry.receivers),
    )


def _first(error: ValidationError) -> str:
    """Where and what is wrong, with nothing of what was there."""
    (found, *_) = error.errors(include_input=False, include_url=False, include_context=False)
    place = ".".join(str(step) for step in found["loc"][:_STEPS])
    return (
        f"{place}: {_SAID.get(found['type'], 'unexpected')}"
        if place
        else _SAID.get(found["type"], "unexpected")
    )


_STEPS = 4
_SAID = {"json_invalid": "not JSON", "missing": "missing"}
