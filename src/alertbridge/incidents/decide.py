"""The heart: from what is remembered and what was just heard to what changes. Pure and total.

One body is one input. Its firing alerts are heard before its resolved ones, and only then is every incident that was
touched looked at once: so a group whose members change in one flush stays one incident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alertbridge.incidents.hindsight import Hindsight
from alertbridge.incidents.outcome import announce, fold, may_differ, speaker
from alertbridge.incidents.past import Past, Place
from alertbridge.incidents.state import (
    Announcement,
    Changes,
    Doubt,
    Effect,
    Heard,
    Hold,
    Incident,
    Known,
    Member,
    State,
    Verdict,
)
from alertbridge.model import Action, Alert, AlertId, Intent, Reporting


def decide(
    state: State,
    heard: Sequence[Heard],
    *,
    now: datetime,
    stale_window: timedelta,
    rules_hash: str,
    new_id: Callable[[], str],
    replayed: bool = False,
) -> Changes:
    """What `heard` changes in `state`, which is left as it is. `new_id` gives ids in ascending order.

    What is `replayed` was decided before, and `now` is when it was heard first: whatever was heard or told since
    prevails, for which `state` needs to know the past.
    """
    past = state.past if replayed else None
    draft = _Draft(state, now=now, stale_window=stale_window, rules_hash=rules_hash, new_id=new_id, past=past)
    for item in heard:
        if item.alert.firing:
            draft.hear_firing(item)
    for item in heard:
        if not item.alert.firing:
            draft.hear_resolved(item)
    return draft.settle()


class _Draft:
    """The changes made so far, laid over the state that they start from."""

    def __init__(
        self,
        state: State,
        *,
        now: datetime,
        stale_window: timedelta,
        rules_hash: str,
        new_id: Callable[[], str],
        past: Past | None,
    ) -> None:
        self._state = state
        self._hindsight = Hindsight(past, now)
        self._now = now
        self._stale_window = stale_window
        self._rules_hash = rules_hash
        self._new_id = new_id
        self._incidents: dict[str, Incident] = {}
        self._members: dict[str, dict[AlertId, Member]] = {}
        self._known: dict[AlertId, Known] = {}
        self._doubts: dict[AlertId, Doubt | None] = {}
        self._opened: dict[str, Alert] = {}
        self._firing: dict[AlertId, Alert] = {}
        self._latest: dict[Place, str] = {}
        self._homes: dict[AlertId, list[str]] = {}
        self._unknown: dict[Place, Incident] = {}
        self._verdicts: list[Verdict] = []

    def hear_firing(self, heard: Heard) -> None:
        """An alert fires: it goes where it already belongs, and opens or joins what the rules want elsewhere."""
        alert = heard.alert
        identity = alert.id
        known = self._known_of(identity)
        homes = list(self._homes_of(identity))
        concerned = bool(homes or heard.intents)
        if heard.doubted:
            self._doubts[identity] = None
        if not concerned and known is None:
            self._judge(heard, [], "dropped" if heard.dropped else "no rule matches")
            return
        if known and known.was_closed(alert.starts_at):
            self._known[identity] = replace(known, last_seen=max(known.last_seen, self._now))
            self._judge(heard, [], "an operator has closed this episode; the next one counts")
            return
        if concerned and not heard.doubted and self._is_doubtful(alert, known):
            self._doubt(heard)
            return
        self._clear_doubt(identity)
        start = self._start(alert, known)
        present = [home for home in homes if not self._hindsight.has_gone_on(alert, home[1])]
        effects = [self._fires_at_home(incident, member, heard, start) for incident, member in present]
        effects += [(home.id, Effect.REPEATED) for home, part in homes if self._hindsight.is_refreshed(part)]
        settled = _settled(homes, heard.intents)
        wanted = [
            intent
            for intent in heard.intents
            if intent.destination not in settled and _place(intent) not in {home.place for home, _ in homes}
        ]
        effects += [self._fires_anew(one, alert, start) for one in wanted if not self._is_told(one, alert)]
        if not self._hindsight.is_late(known):
            self._firing[identity] = alert
        self._remember(alert, firing=True, starts_at=start, ends_at=known.ends_at if known else None)
        otherwise = "told already, or something later was" if heard.intents else "no rule matches"
        self._judge(heard, effects, "dropped" if heard.dropped else otherwise)

    def hear_resolved(self, heard: Heard) -> None:
        """An alert has ended: so does its part wherever it fires, unless a newer episode has begun there."""
        alert = heard.alert
        ended = alert.ends_at or self._now
        known = self._known_of(alert.id)
        firing = [(incident, member) for incident, member in self._homes_of(alert.id) if member.firing]
        leaving = [
            (incident, member)
            for incident, member in firing
            if (member.starts_at <= ended or alert.by_hand) and not self._hindsight.is_refreshed(member)
        ]
        if leaving and heard.hold is not None and not alert.by_hand:
            self._hold(heard, heard.hold, ended)
            return
        self._clear_doubt(alert.id)
        effects = []
        for incident, member in leaving:
            self._put_member(
                replace(member, firing=False, ends_at=ended, last_seen=self._now, inferred=alert.inferred)
            )
            effects.append((incident.id, Effect.LEFT))
        if leaving or (known and known.firing and not firing):
            last = max(ended, known.ends_at) if known and known.ends_at else ended
            self._remember(alert, firing=False, starts_at=min(alert.starts_at, ended), ends_at=last)
        elif known and known.by_hand and not known.firing and known.starts_at <= ended and not alert.by_hand:
            # The source says so itself now, by its own clock: what comes after this is weighed as ever.
            self._remember(alert, firing=False, starts_at=known.starts_at, ends_at=ended)
        if leaving or known:
            self._judge(heard, effects, "older than the present episode" if firing else "already resolved")
            return
        effects = self._pass_on_unknown(heard, ended)
        if heard.intents:
            self._remember(alert, firing=False, starts_at=alert.starts_at, ends_at=ended)
        self._judge(heard, effects, "dropped" if heard.dropped else "never heard of before")

    def settle(self) -> Changes:
        """Look once at every incident touched: does it open, rise, close? Who is to be told?"""
        if not self._members:
            return Changes(known=self._known, doubts=self._doubts, verdicts=tuple(self._verdicts))
        announcements: list[Announcement] = []
        reopened: set[str] = set()
        closed: set[str] = set()
        retold: dict[str, Alert | None] = {}
        unknown = {incident.id: incident for incident in self._unknown.values()}
        for identifier in sorted({*self._incidents, *self._members} - unknown.keys()):
            members = self._all_members(identifier)
            before, after = self._settle(identifier, members)
            announcements += announce(before, after)
            if may_differ(before, after):
                retold[identifier] = self._firing.get(speaker(after, members))
            if before is not None and not before.open:
                reopened.add(identifier)
            if not after.open:
                closed.add(identifier)
        announcements += [Announcement(i.id, Action.RESOLVED, i.severity) for i in unknown.values()]
        return Changes(
            incidents=self._incidents,
            members={
                (m.incident, m.alert): m for members in self._members.values() for m in members.values()
            },
            known=self._known,
            doubts=self._doubts,
            opened=self._opened,
            retold=retold,
            reopened=frozenset(reopened),
            announcements=tuple(announcements),
            verdicts=tuple(_with_closings(verdict, closed) for verdict in self._verdicts)
            if closed
            else tuple(self._verdicts),
        )

    def _settle(self, identifier: str, members: Mapping[AlertId, Member]) -> tuple[Incident | None, Incident]:
        """The incident as it was (None: it is new) and as its members make it; drafted only if that differs."""
        before = self._state.incidents.get(identifier)
        drafted = self._incidents.get(identifier) or self._state.incidents[identifier]
        after = fold(drafted, members)
        if after != before:
            self._incidents[identifier] = after
        else:
            self._incidents.pop(identifier, None)
        return before, after

    def _start(self, alert: Alert, known: Known | None) -> datetime:
        """When the episode began: not before the end of the last one."""
        if known is None or known.ends_at is None or self._hindsight.is_late(known):
            return alert.starts_at
        return max(alert.starts_at, known.ends_at)

    def _is_told(self, intent: Intent, alert: Alert) -> bool:
        place = _place(intent)
        return self._hindsight.is_told(alert, place, self._latest_at(place))

    def _is_doubtful(self, alert: Alert, known: Known | None) -> bool:
        if known is None or known.firing or known.ends_at is None or self._hindsight.is_late(known):
            return False
        return alert.starts_at <= known.ends_at and self._stale_window > timedelta(0)

    def _doubt(self, heard: Heard) -> None:
        alert = heard.alert
        if self._is_held(alert.id) or (alert.id not in self._state.doubted and alert.id not in self._doubts):
            self._doubts[alert.id] = Doubt(alert, self._now + self._stale_window)
        note = "doubted: it started before its last end; it counts if no resolve comes meanwhile"
        self._judge(heard, [], note)

    def _hold(self, heard: Heard, hold: Hold, ended: datetime) -> None:
        """What vouches for it is silent: it counts later, with the first end told, unless the alert fires meanwhile."""
        alert, known = heard.alert, self._known_of(heard.alert.id)
        if heard.doubted or not self._is_held(alert.id):
            self._doubts[alert.id] = Doubt(replace(alert, ends_at=ended), hold.until, hold.heartbeat)
        if known is None or not known.firing:
            self._remember(
                alert, firing=True, starts_at=alert.starts_at, ends_at=known.ends_at if known else None
            )
        was = "is silent" if hold.silent else "was silent when it ended"
        note = f"held: heartbeat {hold.heartbeat} {was}; it counts later unless the alert fires meanwhile"
        self._judge(heard, [], note)

    def _is_held(self, alert: AlertId) -> bool:
        if alert in self._doubts:
            doubt = self._doubts[alert]
            return doubt is not None and bool(doubt.held_by)
        return alert in self._state.held

    def _clear_doubt(self, alert: AlertId) -> None:
        if self._hindsight.is_late(self._known_of(alert)):
            return
        if alert in self._state.doubted or alert in self._state.held or alert in self._doubts:
            self._doubts[alert] = None

    def _fires_at_home(
        self, incident: Incident, member: Member, heard: Heard, start: datetime
    ) -> tuple[str, Effect]:
        severity = next((i.severity for i in heard.intents if _place(i) == incident.place), member.severity)
        if member.firing:
            self._put_member(replace(member, severity=severity, last_seen=self._now))
            return incident.id, Effect.REPEATED
        self._put_member(
            replace(
                member,
                firing=True,
                severity=severity,
                starts_at=start,
                ends_at=None,
                last_seen=self._now,
                inferred=False,
            )
        )
        return incident.id, Effect.REFIRED

    def _fires_anew(self, intent: Intent, alert: Alert, start: datetime) -> tuple[str, Effect]:
        incident = self._latest_at(_place(intent))
        if incident is not None and incident.open:
            effect = Effect.JOINED
        elif incident is not None and incident.reopen_until is not None and self._now < incident.reopen_until:
            effect = Effect.REOPENED
            self._put_incident(replace(incident, closed_at=None, reopen_until=None))
        else:
            effect = Effect.OPENED
            incident = self._open(intent, alert, start, None)
        self._put_member(_part(incident, intent, alert, start, None, self._now))
        return incident.id, effect

    def _pass_on_unknown(self, heard: Heard, ended: datetime) -> list[tuple[str, Effect]]:
        """The relay may have lost its memory while the destination has not: say the resolve there, once per key."""
        effects = []
        for intent in heard.intents:
            if intent.reporting is not Reporting.LIFECYCLE or not intent.send_unknown_resolved:
                continue
            incident = self._latest_at(_place(intent))
            if (incident is not None and incident.open) or self._is_told(intent, heard.alert):
                continue
            passed_on = self._unknown.get(_place(intent)) or self._open(
                intent, heard.alert, heard.alert.starts_at, ended
            )
            self._unknown[_place(intent)] = passed_on
            self._put_member(_part(passed_on, intent, heard.alert, heard.alert.starts_at, ended, self._now))
            effects.append((passed_on.id, Effect.UNKNOWN))
        return effects

    def _open(self, intent: Intent, alert: Alert, start: datetime, end: datetime | None) -> Incident:
        incident = Incident(
            id=self._new_id(),
            destination=intent.destination,
            reporting=intent.reporting,
            key=intent.key,
            rule=intent.rule,
            rules_hash=self._rules_hash,
            severity=intent.severity,
            peak=intent.severity,
            opened_at=start,
            closed_at=end,
            service=intent.service,
            resend=intent.resend,
            reopen_window=intent.reopen_window,
            min_duration=intent.min_duration,
        )
        self._opened[incident.id] = alert
        self._put_incident(incident)
        return incident

    def _put_incident(self, incident: Incident) -> None:
        self._incidents[incident.id] = incident
        if incident.occupies:
            self._latest[incident.place] = incident.id

    def _put_member(self, member: Member) -> None:
        self._members.setdefault(member.incident, {})[member.alert] = member
        homes = self._homes.setdefault(member.alert, [])
        if member.incident not in homes:
            homes.append(member.incident)

    def _remember(
        self, alert: Alert, *, firing: bool, starts_at: datetime, ends_at: datetime | None = None
    ) -> None:
        if not self._hindsight.is_late(self._known_of(alert.id)):
            by_hand = alert.by_hand and not firing
            self._known[alert.id] = Known(alert.id, firing, starts_at, ends_at, self._now, by_hand)

    def _judge(self, heard: Heard, effects: list[tuple[str, Effect]], otherwise: str) -> None:
        if heard.heartbeats:
            otherwise = f"heartbeat {', '.join(heard.heartbeats)}"
        note = "" if effects else otherwise
        self._verdicts.append(
            Verdict(heard.alert.id, heard.alert.status.value, heard.rules, tuple(effects), note)
        )

    def _known_of(self, alert: AlertId) -> Known | None:
        return self._known.get(alert) or self._state.known.get(alert)

    def _latest_at(self, place: Place) -> Incident | None:
        identifier = self._latest.get(place)
        return self._incidents[identifier] if identifier else self._state.latest_at(place)

    def _homes_of(self, alert: AlertId) -> Iterator[tuple[Incident, Member]]:
        drafted = self._homes.get(alert, [])
        for incident, member in self._state.homes(alert):
            if incident.id not in drafted:
                yield self._incidents.get(incident.id, incident), member
        for identifier in tuple(drafted):
            incident = self._incidents.get(identifier) or self._state.incidents[identifier]
            if incident.open:
                yield incident, self._members[identifier][alert]

    def _all_members(self, identifier: str) -> dict[AlertId, Member]:
        return {**self._state.members.get(identifier, {}), **self._members.get(identifier, {})}


def _part(
    incident: Incident, intent: Intent, alert: Alert, start: datetime, end: datetime | None, now: datetime
) -> Member:
    return Member(incident.id, alert.id, end is None, intent.severity, start, end, now)


def _settled(homes: Sequence[tuple[Incident, Member]], intents: Sequence[Intent]) -> set[str]:
    """The destinations where an alert goes to its homes alone: it fires there, or its rules were others once."""
    wanted = {_place(intent) for intent in intents}
    return {home.destination for home, member in homes if member.firing or home.place not in wanted}


def _place(intent: Intent) -> Place:
    return (intent.destination, intent.key)


def _with_closings(verdict: Verdict, closed: set[str]) -> Verdict:
    if not any(effect is Effect.LEFT and incident in closed for incident, effect in verdict.effects):
        return verdict
    effects = tuple(
        (incident, Effect.CLOSED if effect is Effect.LEFT and incident in closed else effect)
        for incident, effect in verdict.effects
    )
    return replace(verdict, effects=effects)
