"""What two configurations make differently of one alert. Pure: two plans and what is rendered from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest
from typing import Final

from alertbridge.config.units import duration_text
from alertbridge.model import JSON, Action, Alert, Composed, Content, Intent, Message, Reporting, Severity
from alertbridge.pipeline import Bridge
from alertbridge.rules.heartbeat import rule_of
from alertbridge.rules.rulebook import Plan

_UNKNOWN_YET: Final = ("resolution_time",)  # what an incident that is still open cannot have


class Kind(StrEnum):
    """What differs, in the words of the JSON; in the order of the report."""

    SOURCE = "source"  # it is not received any more
    DROPPED = "dropped"
    UNMATCHED = "unmatched"
    UNDROPPED = "undropped"
    MATCHED = "matched"
    RULE = "rule"
    REMOVED = "destination-removed"
    ADDED = "destination-added"
    KEY = "key"
    SEVERITY = "severity"
    SERVICE = "service"
    OPTION = "option"
    HELD = "held"
    FIELD = "field"
    FAILURE = "template-failure"


@dataclass(frozen=True, slots=True)
class Group:
    """What many alerts have in common: `name` is a field, an option, a source or a template's place.

    `before` and `after` are part of it where they are few: names of rules, severities, options, missing fields.
    """

    kind: Kind
    destination: str = ""
    name: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs for one alert, with its two values where the group does not say them."""

    group: Group
    before: JSON = None
    after: JSON = None


def differences(
    alert: Alert, *, at: datetime, current: Bridge, new: Bridge, before: Plan, after: Plan
) -> Iterator[Difference]:
    """Everything that differs, each thing once. `before` is what `current` wants for the alert, `after` what `new` does.

    `at` is when the alert was heard.

    The fields of messages are looked at where the alert fires: what is said of an incident is fixed when it opens.
    """
    yield from _route(before, after)
    yield from _failed(_plan_failures(before), _plan_failures(after))
    for one, other in _pairs(before.intents, after.intents):
        if one is not None and other is not None:
            yield from _intent(one, other)
            if alert.firing:
                yield from _message(alert, one, other, at=at, current=current, new=new)
        elif one is not None and after.intents:
            yield Difference(Group(Kind.REMOVED, one.destination))
        elif other is not None and before.intents:
            yield Difference(Group(Kind.ADDED, other.destination))


def _route(before: Plan, after: Plan) -> Iterator[Difference]:
    old, new = _takers(before), _takers(after)
    names = {"before": ", ".join(old), "after": ", ".join(new)}
    if after.dropped and not before.dropped:
        yield Difference(Group(Kind.DROPPED, **names))
    elif old and not new:
        yield Difference(Group(Kind.UNMATCHED, **names))
    elif before.dropped and not after.dropped:
        yield Difference(Group(Kind.UNDROPPED, **names))
    elif new and not old:
        yield Difference(Group(Kind.MATCHED, **names))
    elif old != new:
        yield Difference(Group(Kind.RULE, **names))


def _takers(plan: Plan) -> tuple[str, ...]:
    """The rules that match; or the heartbeats that the alert is a beat of, by the names of their rules."""
    return plan.rules or tuple(rule_of(name) for name in plan.heartbeats)


def _pairs(
    before: Sequence[Intent], after: Sequence[Intent]
) -> Iterator[tuple[Intent | None, Intent | None]]:
    """What belongs together at each destination: first those of one key, then the others in their order."""
    for destination in dict.fromkeys(intent.destination for intent in (*before, *after)):
        old = {intent.key: intent for intent in before if intent.destination == destination}
        fresh = {intent.key: intent for intent in after if intent.destination == destination}
        yield from ((old[key], fresh[key]) for key in old if key in fresh)
        rest = [one for key, one in old.items() if key not in fresh]
        others = [one for key, one in fresh.items() if key not in old]
        yield from zip_longest(rest, others)


def _intent(one: Intent, other: Intent) -> Iterator[Difference]:
    place = one.destination
    if one.key != other.key:
        yield Difference(Group(Kind.KEY, place), one.key, other.key)
    if one.severity is not other.severity:
        yield Difference(Group(Kind.SEVERITY, place, "", one.severity.word, other.severity.word))
    if one.service != other.service:
        yield Difference(Group(Kind.SERVICE, place), one.service, other.service)
    fresh = _options(other)
    for name, value in _options(one).items():
        if value != fresh[name]:
            yield Difference(Group(Kind.OPTION, place, name, value, fresh[name]))


def _options(intent: Intent) -> dict[str, str]:
    """The rule's choices, as they would be written in it."""
    return {
        "resend": intent.resend.value,
        "unknown_resolved": "send" if intent.send_unknown_resolved else "ignore",
        "reopen_window": duration_text(intent.reopen_window),
        "min_duration": duration_text(intent.min_duration),
    }


def _message(
    alert: Alert, one: Intent, other: Intent, *, at: datetime, current: Bridge, new: Bridge
) -> Iterator[Difference]:
    place = one.destination
    texts, fresh = _content(current, alert, one, at), _content(new, alert, other, at)
    # Both as if key and severity had stayed: those are told by themselves.
    said = _composed(current, alert, texts, one, key=one.key, severity=one.severity)
    says = _composed(new, alert, fresh, other, key=one.key, severity=one.severity)
    for name in dict.fromkeys([*said.payload, *says.payload]):
        values = (said.payload.get(name), says.payload.get(name))
        if values[0] != values[1]:
            yield Difference(Group(Kind.FIELD, place, name), *values)
    lacked, lacks = _missing(said), _missing(says)
    if lacked != lacks:
        yield Difference(Group(Kind.HELD, place, "", lacked, lacks))
    yield from _failed(_content_failures(texts, one), _content_failures(fresh, other))


def _content(bridge: Bridge, alert: Alert, intent: Intent, at: datetime) -> Content:
    return bridge.rulebook.render(alert, rule=intent.rule, destination=intent.destination, at=at)


def _composed(
    bridge: Bridge, alert: Alert, content: Content, intent: Intent, *, key: str, severity: Severity
) -> Composed:
    message = Message(
        incident="",
        key=key,
        action=Action.RECORD if intent.reporting is Reporting.RECORD else Action.ALARMED,
        severity=severity,
        content=content,
        opened_at=alert.starts_at,
        closed_at=None,
    )
    return bridge.destinations[intent.destination].compose(message)


def _missing(composed: Composed) -> str:
    return ", ".join(name for name in composed.missing if name not in _UNKNOWN_YET)


def _plan_failures(plan: Plan) -> dict[str, str]:
    return {f"{rule}: {name}": sentence for (rule, name), sentence in plan.failures.items()}


def _content_failures(content: Content, intent: Intent) -> dict[str, str]:
    place = f"{intent.rule}: send.{intent.destination}"
    return {f"{place}.{name}": sentence for name, sentence in content.failures.items()}


def _failed(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    """Templates that fail and did not before."""
    for place, sentence in after.items():
        if place not in before:
            yield Difference(Group(Kind.FAILURE, "", place), None, sentence)
