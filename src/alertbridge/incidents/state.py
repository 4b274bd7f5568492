"""What is remembered about incidents and alerts, and the changes that one input makes to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from alertbridge.incidents.past import Past, Place
from alertbridge.model import Action, Alert, AlertId, Content, Intent, Reporting, Resend, Severity


@dataclass(frozen=True, slots=True)
class Incident:
    """One open-to-close span of one key at one destination.

    Key, rule and the rule's choices are those of the moment of opening and never change; nor does the content, unless
    one of those choices is `resend: change`. `severity` is the
    highest of the members that fire, `peak` the highest ever reached. `opened_at` is the earliest start of a
    member, `closed_at` the latest end, None while open; `inferred` says that an end was concluded and never heard. A closed incident may be opened again until `reopen_until`.
    """

    id: str
    destination: str
    reporting: Reporting
    key: str
    rule: str
    rules_hash: str
    severity: Severity
    peak: Severity
    opened_at: datetime
    closed_at: datetime | None = None
    service: str = ""
    resend: Resend = Resend.SEVERITY
    reopen_window: timedelta = timedelta(0)
    min_duration: timedelta = timedelta(0)
    reopen_until: datetime | None = None
    content: Content = field(default_factory=Content)
    inferred: bool = False

    @property
    def open(self) -> bool:
        """Whether any member still fires."""
        return self.closed_at is None

    @property
    def place(self) -> Place:
        """The destination and key that this incident occupies."""
        return (self.destination, self.key)

    @property
    def occupies(self) -> bool:
        """Whether an alert of this key may still come here: it is open, or may be opened again."""
        return self.open or self.reopen_until is not None


@dataclass(frozen=True, slots=True)
class Member:
    """One alert's part in one incident: its latest episode there."""

    incident: str
    alert: AlertId
    firing: bool
    severity: Severity
    starts_at: datetime
    ends_at: datetime | None
    last_seen: datetime
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What was last believed of an alert, whether or not an incident is open for it.

    `ends_at` is its last end, also while it fires again; `by_hand` says that an operator said that end.
    """

    alert: AlertId
    firing: bool
    starts_at: datetime
    ends_at: datetime | None
    last_seen: datetime
    by_hand: bool = False

    def was_closed(self, starts_at: datetime) -> bool:
        """Whether an operator has closed the episode that began then."""
        return self.by_hand and not self.firing and self.ends_at is not None and starts_at <= self.ends_at


@dataclass(frozen=True, slots=True)
class Doubt:
    """A firing that may be old news: it counts at `due` unless a resolve comes first.

    Or a resolve that is `held_by` a heartbeat: it is weighed again at `due` unless the alert fires first.
    """

    alert: Alert
    due: datetime
    held_by: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Until when a resolve is not to count, for the heartbeat that vouches for it is `silent`, or was when it ended."""

    heartbeat: str
    until: datetime
    silent: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """One alert as heard now, and what the rules want for it. `doubted` is set when its doubt has run out.

    `heartbeats` are those that it belongs to; then no rule was asked. `hold` says of a resolve that it is not to count.
    """

    alert: Alert
    rules: tuple[str, ...]
    intents: tuple[Intent, ...]
    dropped: bool = False
    doubted: bool = False
    heartbeats: tuple[str, ...] = ()
    hold: Hold | None = None

    @property
    def unmatched(self) -> bool:
        """Whether no rule says what becomes of it, though some may have set values."""
        return not (self.intents or self.dropped or self.heartbeats)


class Effect(StrEnum):
    """What one heard alert did to one incident, in the words shown to operators."""

    OPENED = "opened"
    REOPENED = "reopened"
    JOINED = "joined"
    REFIRED = "refired"  # fires again in the incident it belongs to
    REPEATED = "repeated"
    LEFT = "left"  # resolved, others still fire
    CLOSED = "closed"  # resolved, the last one
    UNKNOWN = "unknown"  # resolved, never heard of: passed on to be safe


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one heard alert: the audit's answer to "what did you do with it".

    `note` explains an empty `effects`: `dropped`, `no rule matches`, `doubted`, `already resolved`, ...
    """

    alert: AlertId
    status: str
    rules: tuple[str, ...]
    effects: tuple[tuple[str, Effect], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A destination is to be told of an incident. `skipped` says why it is recorded but never sent.

    `not_before` holds it back, so that an incident that opens again is still one incident.
    """

    incident: str
    action: Action
    severity: Severity
    not_before: datetime | None = None
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything one input changes; stored whole or not at all.

    `opened` names for every new incident the alert that its content is rendered from. `retold` names the open
    incidents that are to be announced where anything that is sent differs, with the alert that speaks for each; None
    if it was not heard now.
    `reopened` names incidents that are not over after all: whatever unsent says so is withdrawn.
    """

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    members: Mapping[tuple[str, AlertId], Member] = field(default_factory=dict)
    known: Mapping[AlertId, Known] = field(default_factory=dict)
    doubts: Mapping[AlertId, Doubt | None] = field(default_factory=dict)
    opened: Mapping[str, Alert] = field(default_factory=dict)
    retold: Mapping[str, Alert | None] = field(default_factory=dict)
    reopened: frozenset[str] = frozenset()
    announcements: tuple[Announcement, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


def merged(several: Iterable[Changes]) -> Changes:
    """One set of changes with the effect of `several`, decided one after the other."""
    incidents: dict[str, Incident] = {}
    members: dict[tuple[str, AlertId], Member] = {}
    known: dict[AlertId, Known] = {}
    doubts: dict[AlertId, Doubt | None] = {}
    for changes in several:
        incidents.update(changes.incidents)
        members.update(changes.members)
        known.update(changes.known)
        doubts.update(changes.doubts)
    return Changes(incidents=incidents, members=members, known=known, doubts=doubts)


class State:
    """The remembered part of the world that one input can touch.

    Holds open incidents, closed ones that may still be opened again, all members of both, what is known of every
    alert in the input, and which of them are doubted, or have a resolve that is held. `after` gives the state that a set
    of changes leads to, so that several inputs can be decided one after the other before anything is stored. `past` is
    known where events are decided once more.
    """

    def __init__(
        self,
        *,
        incidents: Iterable[Incident] = (),
        members: Iterable[Member] = (),
        known: Iterable[Known] = (),
        doubted: Iterable[AlertId] = (),
        held: Iterable[AlertId] = (),
        past: Past | None = None,
    ) -> None:
        self.past = past
        self.incidents: dict[str, Incident] = {}
        self.members: dict[str, dict[AlertId, Member]] = {}
        self.known: dict[AlertId, Known] = {item.alert: item for item in known}
        self.doubted: set[AlertId] = set(doubted)
        self.held: set[AlertId] = set(held)
        self._latest: dict[Place, str] = {}
        self._homes: dict[AlertId, dict[str, None]] = {}
        for incident in incidents:
            self._put_incident(incident)
        for member in members:
            self._put_member(member)

    def latest_at(self, place: Place) -> Incident | None:
        """The latest incident of that key at that destination that is open or may be opened again."""
        found = self._latest.get(place)
        return self.incidents[found] if found else None

    def homes(self, alert: AlertId) -> Iterator[tuple[Incident, Member]]:
        """The open incidents that this alert belongs to, with its part in each."""
        for identifier in self._homes.get(alert, ()):
            incident = self.incidents.get(identifier)
            if incident is not None and incident.open:
                yield incident, self.members[identifier][alert]

    def absorb(self, changes: Changes) -> None:
        """Become the state after `changes`."""
        for incident in changes.incidents.values():
            self._put_incident(incident)
        for member in changes.members.values():
            self._put_member(member)
        if self.past is not None:
            self._learn(self.past, changes)
        self.known.update(changes.known)
        for alert, doubt in changes.doubts.items():
            self.doubted.discard(alert)
            self.held.discard(alert)
            if doubt is not None:
                (self.held if doubt.held_by else self.doubted).add(alert)

    def _learn(self, past: Past, changes: Changes) -> None:
        for incident in changes.incidents.values():
            if incident.closed_at is not None:
                past.place_ended(incident.place, incident.closed_at)
                for member in self.members[incident.id].values():
                    if member.ends_at is not None:
                        past.alert_ended(member.alert, incident.destination, member.ends_at)

    def _put_incident(self, incident: Incident) -> None:
        self.incidents[incident.id] = incident
        holder = self._latest.get(incident.place)
        if incident.occupies and (holder is None or incident.open or not self.incidents[holder].open):
            self._latest[incident.place] = incident.id

    def _put_member(self, member: Member) -> None:
        self.members.setdefault(member.incident, {})[member.alert] = member
        self._homes.setdefault(member.alert, {})[member.incident] = None
