"""What would become of a request body: the rules and the messages, alert by alert."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import click

from alertbridge.model import (
    JSON,
    Action,
    Alert,
    Composed,
    Content,
    Intent,
    Message,
    Notification,
    Reporting,
    Resend,
)
from alertbridge.pipeline import Bridge
from alertbridge.rules.condition import AnyOf, written
from alertbridge.rules.reason import Failure, Verdict, verdicts

_INCIDENT = "<id of the incident>"  # given when it opens
_UNKNOWN_YET = ("resolution_time",)  # what an incident that is still open cannot have
_SHOWN_FIRST = ("alertname", "severity", "service")
_MOST_SHOWN = 80  # characters of a value that a rule was not satisfied with


@dataclass(frozen=True, slots=True)
class Telling:
    """One message to one destination; `later` says that it is sent when the incident closes."""

    intent: Intent
    action: Action
    composed: Composed
    content: Content
    later: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """Required fields that nobody has said; the message would be held."""
        return tuple(name for name in self.composed.missing if not (self.later and name in _UNKNOWN_YET))


@dataclass(frozen=True, slots=True)
class Fate:
    """What would become of one alert.

    `rules` are those that match, `verdicts` what each rule makes of it. `failures` has one sentence per template that
    failed.
    """

    alert: Alert
    verdicts: tuple[Verdict, ...]
    rules: tuple[str, ...]
    dropped: bool
    tellings: tuple[Telling, ...]
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Foresight:
    """What would become of all alerts of one body, in its order; `truncated` were left out of it by its sender."""

    fates: tuple[Fate, ...]
    truncated: int


def foresee(bridge: Bridge, body: bytes, *, source: str, received_at: datetime) -> Foresight:
    """Each alert of `body` looked at alone, as if nothing had been heard before. Raises MalformedBody."""
    said = bridge.feeds[source].parser.parse(body, source=source, received_at=received_at)
    return foresee_all(bridge, said)


def foresee_all(bridge: Bridge, said: Notification) -> Foresight:
    """Each alert looked at alone, as if nothing had been heard before."""
    return Foresight(tuple(_fate(bridge, alert) for alert in said.alerts), said.truncated)


def _fate(bridge: Bridge, alert: Alert) -> Fate:
    plan = bridge.rulebook.plan(alert)
    tellings = tuple(_telling(bridge, alert, intent) for intent in plan.intents)
    failures = [f"{rule}: {name}: {sentence}" for (rule, name), sentence in plan.failures.items()]
    for one in tellings:
        place = f"{one.intent.rule}: send.{one.intent.destination}"
        failures += [f"{place}.{name}: {sentence}" for name, sentence in one.content.failures.items()]
    reasons = verdicts(bridge.rulebook.rules, alert)
    return Fate(alert, reasons, plan.rules, plan.dropped, tellings, tuple(failures))


def _telling(bridge: Bridge, alert: Alert, intent: Intent) -> Telling:
    content = bridge.rulebook.render(alert, rule=intent.rule, destination=intent.destination)
    action = _action(alert, intent)
    composed = bridge.destinations[intent.destination].compose(
        Message(
            incident=_INCIDENT,
            key=intent.key,
            action=action,
            severity=intent.severity,
            content=content,
            opened_at=alert.starts_at,
            closed_at=alert.ends_at,
        )
    )
    return Telling(intent, action, composed, content, later=action is Action.RECORD and alert.firing)


def _action(alert: Alert, intent: Intent) -> Action:
    if intent.reporting is Reporting.RECORD:
        return Action.RECORD
    return Action.ALARMED if alert.firing else Action.RESOLVED


def as_json(seen: Foresight) -> JSON:
    """For programs; an alert's `messages` say `when`: now, or on close.

    Of its `rules`, `matched` is null for those that are not reached.
    """
    return {"alerts": [_fate_json(fate) for fate in seen.fates], "truncated": seen.truncated}


def _fate_json(fate: Fate) -> JSON:
    return {
        "status": fate.alert.status.value,
        "fingerprint": fate.alert.fingerprint,
        "labels": fate.alert.labels,
        "rules": [_verdict_json(verdict) for verdict in fate.verdicts],
        "dropped": fate.dropped,
        "messages": [
            {
                "destination": one.intent.destination,
                "action": one.action.value,
                "when": "on close" if one.later else "now",
                "rule": one.intent.rule,
                "key": one.intent.key,
                "severity": one.intent.severity.word,
                "service": one.intent.service,
                "resend": one.intent.resend.value,
                "missing": list(one.missing),
                "payload": one.composed.payload,
                "origins": one.content.origins,
            }
            for one in fate.tellings
        ],
        "failures": list(fate.failures),
    }


def _verdict_json(verdict: Verdict) -> JSON:
    said: dict[str, JSON] = {"name": verdict.rule, "matched": verdict.matched}
    if verdict.failure is not None:
        said["failed"] = _failure_json(verdict.failure)
    return said


def _failure_json(failure: Failure) -> JSON:
    said: dict[str, JSON] = {"matcher": written(failure.condition), "actual": failure.actual}
    if isinstance(failure.condition, AnyOf):
        said["any"] = [_failure_json(part) for part in failure.parts]
    return said


def as_text(seen: Foresight) -> str:
    """For people."""
    lines = [
        line
        for number, fate in enumerate(seen.fates, 1)
        for line in _fate_text(fate, number, len(seen.fates))
    ]
    if not seen.fates:
        lines.append("The notification holds no alerts: nothing would happen.")
    if seen.truncated:
        lines.append(
            f"{seen.truncated} more were left out by its sender (max_alerts): nothing is concluded of them."
        )
    return "\n".join(lines).rstrip()


def _fate_text(fate: Fate, number: int, count: int) -> Iterator[str]:
    status = click.style(fate.alert.status.value, fg="red" if fate.alert.firing else "green")
    yield f"{click.style(f'alert {number} of {count}', bold=True)}: {status} {_labels(fate.alert.labels)}"
    yield f"  rule: {_rules(fate)}"
    yield from _reasons(fate.verdicts)
    for one in fate.tellings:
        yield from _telling_text(one)
    for sentence in fate.failures:
        said = f"a template failed and its default was taken: {printable(sentence)}"
        yield click.style(f"  {said}", fg="yellow")
    yield ""


def _rules(fate: Fate) -> str:
    if not fate.rules:
        return "none matches, so it goes nowhere"
    names = ", ".join(fate.rules)
    return f"{names}, which drops it on purpose" if fate.dropped else names


def _reasons(verdicts: tuple[Verdict, ...]) -> Iterator[str]:
    for verdict in verdicts:
        if verdict.matched:
            yield f"    {click.style('matches', fg='green')} {verdict.rule}"
        elif verdict.failure is not None:
            yield f"    no      {verdict.rule}: {_why(verdict.failure)}"
            yield from _why_none(verdict.failure, 14)
    unreached = [verdict.rule for verdict in verdicts if verdict.matched is None]
    if unreached:
        yield f"    not reached: {', '.join(unreached)}"


def _why(failure: Failure) -> str:
    if isinstance(failure.condition, AnyOf):
        return "none of these holds"
    return f"{printable(written(failure.condition))}, but the alert {_actual(failure.actual)}"


def _why_none(failure: Failure, by: int) -> Iterator[str]:
    for part in failure.parts:
        yield f"{' ' * by}- {_why(part)}"
        yield from _why_none(part, by + 2)


def _actual(actual: Mapping[str, str | None]) -> str:
    return " and ".join(
        f"has no {subject}" if held is None else f'has {subject} = "{_shortened(held)}"'
        for subject, held in ((printable(subject), held) for subject, held in actual.items())
    )


def _shortened(value: str) -> str:
    return printable(value if len(value) <= _MOST_SHOWN else f"{value[: _MOST_SHOWN - 1]}…")


def _telling_text(one: Telling) -> Iterator[str]:
    intent = one.intent
    yield f"  {click.style(intent.destination, bold=True)}: {one.action.value}{_when(one)}:"
    known = [f"key {intent.key}", f"severity {intent.severity.word}"]
    known += [f"service {intent.service}"] if intent.service else []
    if one.action is Action.ALARMED and intent.resend is not Resend.SEVERITY:
        known.append(f"resend {intent.resend.value}")
    yield f"    {printable(', '.join(known))}"
    yield indented(one.composed.payload, 4)
    if one.missing:
        held = f"held: missing {', '.join(one.missing)}"
        remedy = "say it in the rule, as a label or annotation, or under `services:`"
        yield click.style(f"    {held}; {remedy}", fg="yellow")


def _when(one: Telling) -> str:
    if one.later:
        return ", sent when it closes; known by now"
    return "" if one.action is Action.ALARMED else ", for the incident that this ends"


def indented(payload: Mapping[str, JSON], by: int) -> str:
    """The JSON of `payload` on lines of its own, `by` spaces in."""
    text = json.dumps(payload, indent=2, ensure_ascii=False, default=dict)
    return "\n".join(" " * by + printable(line) for line in text.split("\n"))


def _labels(labels: Mapping[str, str]) -> str:
    """The name of the alert, then what matters most, then the others."""
    name = labels.get("alertname", "(no alertname)")
    rest = [key for key in _SHOWN_FIRST[1:] if key in labels]
    rest += sorted(labels.keys() - set(_SHOWN_FIRST))
    return printable(f"{name} {{{', '.join(f'{key}={labels[key]}' for key in rest)}}}")


def printable(text: str) -> str:
    """`text` on one line, without what could steer a terminal: such characters are shown as escapes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
