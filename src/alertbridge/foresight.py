"""What would become of a request body: the rules and the messages, alert by alert; nothing is sent, nothing stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
)
from alertbridge.pipeline import Bridge
from alertbridge.rules.condition import AnyOf, written
from alertbridge.rules.reason import Failure, Inactive, Verdict, verdicts

_INCIDENT = "<id of the incident>"  # given when it opens
_UNKNOWN_YET = ("resolution_time",)  # what an incident that is still open cannot have


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
    failed. An alert that belongs to `heartbeats` is for them alone.
    """

    alert: Alert
    verdicts: tuple[Verdict, ...]
    rules: tuple[str, ...]
    dropped: bool
    tellings: tuple[Telling, ...]
    failures: tuple[str, ...]
    heartbeats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Foresight:
    """What would become of all alerts of one body, in its order; `truncated` were left out of it by its sender.

    `rules_hash` names the rules that say so.
    """

    fates: tuple[Fate, ...]
    truncated: int
    rules_hash: str


def foresee_all(bridge: Bridge, said: Notification, *, at: datetime) -> Foresight:
    """Each alert looked at alone, heard at that instant, as if nothing had been heard before."""
    return Foresight(
        tuple(_fate(bridge, alert, at) for alert in said.alerts), said.truncated, bridge.rulebook.hash
    )


def _fate(bridge: Bridge, alert: Alert, at: datetime) -> Fate:
    plan = bridge.rulebook.plan(alert, at=at)
    tellings = tuple(_telling(bridge, alert, intent, at) for intent in plan.intents)
    failures = [f"{rule}: {name}: {sentence}" for (rule, name), sentence in plan.failures.items()]
    for one in tellings:
        place = f"{one.intent.rule}: send.{one.intent.destination}"
        failures += [f"{place}.{name}: {sentence}" for name, sentence in one.content.failures.items()]
    reasons = () if plan.heartbeats else verdicts(bridge.rulebook, alert, at=at)
    return Fate(
        alert, reasons, plan.rules, plan.dropped, tellings, tuple(failures), heartbeats=plan.heartbeats
    )


def _telling(bridge: Bridge, alert: Alert, intent: Intent, at: datetime) -> Telling:
    content = bridge.rulebook.render(alert, rule=intent.rule, destination=intent.destination, at=at)
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


def as_json(seen: Foresight) -> dict[str, JSON]:
    """For programs; an alert's `messages` say `when`: now, or on close.

    Of its `rules`, `matched` is null for those that are not reached, `set` says what one that matches has set, and
    `failed` why one does not match.
    """
    return {
        "rules_hash": seen.rules_hash,
        "alerts": [_fate_json(fate) for fate in seen.fates],
        "truncated": seen.truncated,
    }


def _fate_json(fate: Fate) -> JSON:
    return {
        "status": fate.alert.status.value,
        "fingerprint": fate.alert.fingerprint,
        "labels": fate.alert.labels,
        "heartbeats": list(fate.heartbeats),
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
    if verdict.sets:
        said["set"] = verdict.sets
    if isinstance(verdict.failure, Inactive):
        said["failed"] = {"active": list(verdict.failure.windows), "actual": verdict.failure.windows}
    elif verdict.failure is not None:
        said["failed"] = _failure_json(verdict.failure)
    return said


def _failure_json(failure: Failure) -> JSON:
    said: dict[str, JSON] = {"matcher": written(failure.condition), "actual": failure.actual}
    if isinstance(failure.condition, AnyOf):
        said["any"] = [_failure_json(part) for part in failure.parts]
    return said
