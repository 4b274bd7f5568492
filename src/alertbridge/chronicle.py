"""What is counted and logged of every decision, once it is on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from alertbridge.incidents.state import Changes, Heard, Incident
from alertbridge.metrics import Metrics
from alertbridge.model import AlertId, Event, EventOutcome, instant


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to decide: an event's alerts, or (without an event) one whose doubt has run out.

    `failures` are templates that failed while the rules were asked: rule, field, one sentence. `receiver` is whom the
    source says that it tells this.
    """

    event: Event | None
    heard: tuple[Heard, ...]
    truncated: int
    stale_window: timedelta
    failures: tuple[tuple[str, str, str], ...]
    receiver: str = ""

    @property
    def replayed(self) -> bool:
        """Whether the event was decided before."""
        return self.event is not None and self.event.replay_of != ""


@dataclass(frozen=True, slots=True)
class Decision:
    """An input and what it changed."""

    input: Input
    changes: Changes


class Chronicle:
    """Counts into the metrics and writes one log event per step, with the ids to follow one alert by."""

    def __init__(self, *, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger().bind()

    def decided(self, decisions: Sequence[Decision]) -> None:
        """A batch was decided: events, and doubts that ran out."""
        self._count(decisions)
        self._count_beats(decisions)
        for decision in decisions:
            self._tell(decision)

    def failed(self, event: Event, reason: str, error: Exception | None) -> None:
        """An event could not be decided; `error` is given where its traceback is needed to understand why."""
        self._metrics.events.labels(event.source, EventOutcome.FAILED.value).inc()
        self._log.error("event.failed", event_id=event.id, source=event.source, error=reason, exc_info=error)

    def doubt_failed(self, alert: AlertId, reason: str, error: Exception | None) -> None:
        """A doubt that ran out could not be decided; it is tried again in an hour."""
        self._log.error(
            "doubt.failed", source=alert.source, fingerprint=alert.fingerprint, error=reason, exc_info=error
        )

    def undecided(self, error: Exception) -> None:
        """The database took no decisions; they are tried again."""
        self._log.error("event.undecided", error=str(error))

    def _count(self, decisions: Sequence[Decision]) -> None:
        events: Counter[str] = Counter()
        truncated: Counter[str] = Counter()
        alerts: Counter[tuple[str, str]] = Counter()
        matches: Counter[str] = Counter()
        for decision in decisions:
            item = decision.input
            if item.event is not None:
                events[item.event.source] += 1
                truncated[item.event.source] += item.truncated
            for heard in item.heard:
                alerts[heard.alert.source, heard.alert.status.value] += 1
                for rule in heard.rules:
                    matches[rule] += 1
            for rule, name, _ in item.failures:
                self._metrics.template_failures.labels(rule, name).inc()
        for source, number in events.items():
            self._metrics.events.labels(source, EventOutcome.DECIDED.value).inc(number)
        for source, number in truncated.items():
            self._metrics.truncated_alerts.labels(source).inc(number)
        for (source, status), number in alerts.items():
            self._metrics.alerts.labels(source, status).inc(number)
        for rule, number in matches.items():
            self._metrics.rule_matches.labels(rule).inc(number)

    def _count_beats(self, decisions: Sequence[Decision]) -> None:
        for heard in (one for decision in decisions for one in decision.input.heard if one.heartbeats):
            for name in heard.heartbeats if heard.alert.firing else ():
                self._metrics.heartbeat_beats.labels(name).inc()

    def _tell(self, decision: Decision) -> None:
        item, changes = decision.input, decision.changes
        event_id = item.event.id if item.event else None
        log = self._log.info if changes.incidents or item.truncated else self._log.debug
        log(
            "event.decided",
            event_id=event_id,
            source=item.heard[0].alert.source if item.heard else None,
            alerts=len(item.heard),
            announcements=len(changes.announcements),
            truncated=item.truncated,
        )
        for rule, name, sentence in item.failures:
            self._log.warning("template.failed", event_id=event_id, rule=rule, field=name, error=sentence)
        for incident in changes.incidents.values():
            self._tell_incident(incident, event_id, opened=incident.id in changes.opened)
            if incident.id in changes.opened or incident.id in changes.retold:
                self._tell_failures(incident)
        if item.event is not None:
            self._tell_held(changes, item.event.id)

    def _tell_incident(self, incident: Incident, event_id: str | None, *, opened: bool) -> None:
        step = "opened" if opened else "changed" if incident.open else "closed"
        self._log.info(
            f"incident.{step}",
            event_id=event_id,
            incident=incident.id,
            destination=incident.destination,
            key=incident.key,
            rule=incident.rule,
            severity=incident.severity.word,
            open=incident.open,
        )

    def _tell_held(self, changes: Changes, event_id: str) -> None:
        for alert, doubt in changes.doubts.items():
            if doubt is not None and doubt.held_by:
                source, fingerprint = alert
                self._log.info(
                    "resolve.held",
                    event_id=event_id,
                    source=source,
                    fingerprint=fingerprint,
                    heartbeat=doubt.held_by,
                    until=instant(doubt.due),
                )

    def _tell_failures(self, incident: Incident) -> None:
        for name, sentence in incident.content.failures.items():
            self._metrics.template_failures.labels(incident.rule, name).inc()
            self._log.warning(
                "template.failed", incident=incident.id, rule=incident.rule, field=name, error=sentence
            )
