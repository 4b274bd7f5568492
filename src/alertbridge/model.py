"""The words of the domain as values: what flows from one step of the way to the next.

Everything here is frozen. Instants are aware UTC datetimes, spans are timedeltas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum, StrEnum
from typing import NamedTuple, TypeAlias

from typing_extensions import override

JSON: TypeAlias = "Mapping[str, JSON] | list[JSON] | str | int | float | bool | None"


class Severity(IntEnum):
    """How bad it is, in Elven's five words; the order of the numbers is the order of urgency."""

    INFORMATIONAL = 1
    LOW = 2
    MODERATE = 3
    HIGH = 4
    CRITICAL = 5

    @property
    def word(self) -> str:
        """The word used in configuration, API and payloads."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> Severity | None:
        """The severity called `word`, in any case, or None."""
        return cls.__members__.get(word.strip().upper())


class AlertStatus(StrEnum):
    """What a source says of one alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Action(StrEnum):
    """What a delivery tells its destination."""

    ALARMED = "alarmed"
    RESOLVED = "resolved"
    RECORD = "record"
    DEPLOYMENT = "deployment"


class Reporting(StrEnum):
    """When a destination wants to hear of an incident."""

    LIFECYCLE = "lifecycle"  # as it opens and as it closes
    RECORD = "record"  # once, when it is over


class Resend(StrEnum):
    """When an incident that is already open is announced again."""

    NEVER = "never"
    SEVERITY = "severity"  # when its severity rises
    CHANGE = "change"  # when anything that is sent differs


class EventOutcome(StrEnum):
    """What became of an accepted request body."""

    RECEIVED = "received"  # stored, not yet decided
    DECIDED = "decided"
    MALFORMED = "malformed"  # refused with 400, kept for inspection
    FAILED = "failed"  # accepted, but deciding it broke: an operator must look


class DeliveryState(StrEnum):
    """Where a delivery stands; the last five are final."""

    HELD = "held"
    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    DEAD = "dead"
    DISCARDED = "discarded"


class AlertId(NamedTuple):
    """What makes an alert the same alert: who said it, and the hash of its labels."""

    source: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One normalised alert inside an event.

    `ends_at` is set exactly when `status` is resolved; neither instant lies after the moment of receipt. `inferred`
    says that no source has said so: it was concluded. `by_hand` says that an operator has said so.
    """

    source: str
    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    generator_url: str = ""
    group: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    inferred: bool = False
    by_hand: bool = False

    @property
    def id(self) -> AlertId:
        """The identity of this alert across events."""
        return AlertId(self.source, self.fingerprint)

    @property
    def unlabelled(self) -> bool:
        """Whether its labels are not known, since its end was concluded or said by hand: then no rule can be asked of it."""
        return (self.inferred or self.by_hand) and not self.labels

    @property
    def firing(self) -> bool:
        """Whether the source says that the alert fires."""
        return self.status is AlertStatus.FIRING


@dataclass(frozen=True, slots=True)
class Notification:
    """What one request body says: its alerts in body order, and how many it admits to have left out.

    `receiver` is how the source calls whom it tells this; empty where it has no word for that.
    """

    alerts: tuple[Alert, ...]
    truncated: int = 0
    receiver: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One accepted request body, or what nobody posted, in Alertmanager's shape: one of three texts says why.

    `inferred` was concluded; `adopted` was read from a peer of the source, which does list these alerts as firing;
    `by_hand` was said by an operator. `replay_of` names the event that this one is decided instead of, once more.
    """

    id: str
    source: str
    received_at: datetime
    body: bytes
    inferred: str = ""
    adopted: str = ""
    by_hand: str = ""
    replay_of: str = ""


@dataclass(frozen=True, slots=True)
class Intent:
    """What the rules want for one alert at one destination."""

    destination: str
    reporting: Reporting
    key: str
    rule: str
    severity: Severity
    service: str = ""
    resend: Resend = Resend.SEVERITY
    send_unknown_resolved: bool = True
    reopen_window: timedelta = timedelta(0)
    min_duration: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Content:
    """The rendered fields of an incident, frozen at its opening unless its rule says `resend: change`.

    `origins` says for every field where its value came from: `rule`, `label`, `annotation`, `service` or
    `default`. `failures` holds one sentence per field whose template failed and fell back. `speaker` is the alert
    that they were rendered from; None where that was not noted.
    """

    fields: Mapping[str, JSON] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    speaker: AlertId | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field that a rule may set under `send.<destination>`.

    `default` is a template. `looked_up` fields without a value from the rule are taken from the label, then
    the annotation, then the service catalogue entry of the same name, before the default. `shape` says what
    the rendered value is: a text, a list of texts, or a mapping of texts.
    """

    class Shape(Enum):
        """What a rendered value looks like."""

        TEXT = "text"
        LIST = "list"
        MAPPING = "mapping"

    name: str
    default: str = ""
    shape: Shape = Shape.TEXT
    looked_up: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said to a destination about one incident."""

    incident: str
    key: str
    action: Action
    severity: Severity
    content: Content
    opened_at: datetime
    closed_at: datetime | None
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Composed:
    """A payload ready to be stored and sent, and the names of required fields it still lacks."""

    payload: Mapping[str, JSON]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP POST, complete. `url` and some headers are secret, so the text form shows neither."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What a destination answered. Header names are lower case; `body` is its bounded beginning."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination has it; `reference` is the id it gave, where it gave one."""

    reference: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """It certainly did not arrive, and may later: try again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It was sent and no answer came: it may have arrived. Try again, and know that it may be a repeat."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The destination read it and will never take it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing can be delivered there now, whatever is sent: stop for `after`, or until a probe succeeds."""

    reason: str
    detail: str
    after: timedelta | None = None


Outcome: TypeAlias = Delivered | Retry | Ambiguous | Rejected | Paused


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must never be shown: its text forms are `***`."""

    value: str = field(repr=False)

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self.value

    @override
    def __str__(self) -> str:
        return "***"

    @override
    def __repr__(self) -> str:
        return "***"


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, with microseconds where there are any: `2024-08-01T12:34:56Z`."""
    text = moment.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"
