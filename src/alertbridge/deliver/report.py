"""What a courier says of its work: in the log, and to who counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import structlog

from alertbridge.deliver.digester import Folded
from alertbridge.deliver.learning import effective
from alertbridge.deliver.standing import Standing
from alertbridge.incidents.state import Incident
from alertbridge.metrics import Metrics
from alertbridge.model import DeliveryState, instant
from alertbridge.store.dispatch import Claim, Result


class Report:
    """Tells of one destination; `clean` takes the secrets out of a text."""

    def __init__(self, *, destination: str, metrics: Metrics, clean: Callable[[str], str]) -> None:
        self._destination = destination
        self._metrics = metrics
        self._clean = clean
        self._log = structlog.get_logger().bind(destination=destination)

    def settled(self, claim: Claim, result: Result, now: datetime) -> None:
        """An attempt has ended and is stored."""
        self._metrics.deliveries.labels(self._destination, claim.action.value, result.outcome).inc()
        if result.state is DeliveryState.DEAD and result.outcome != "rejected":
            self._metrics.deliveries.labels(self._destination, claim.action.value, "dead").inc()
        if result.state is DeliveryState.DELIVERED:
            self._metrics.end_to_end_seconds.labels(self._destination).observe(
                (now - claim.received_at).total_seconds()
            )
        log = self._log.info if result.state is DeliveryState.DELIVERED else self._log.warning
        log(
            "delivery.settled",
            delivery=claim.id,
            incident=claim.incident,
            key=claim.key,
            action=claim.action.value,
            attempt=claim.attempt,
            outcome=result.outcome,
            state=result.state.value,
            status=result.status,
            error=result.error,
            next_attempt_at=instant(result.next_attempt_at) if result.next_attempt_at else None,
        )

    def digested(self, folded: Folded | None, ended: Iterable[Incident]) -> None:
        """Alarms were folded into a digest, and digests are over."""
        if folded is not None:
            self._metrics.digested.labels(self._destination).inc(folded.number)
            digest, severity = folded.digest, folded.digest.severity.word
            if folded.new:
                self._log.info(
                    "digest.opened",
                    incident=digest.id,
                    key=digest.key,
                    severity=severity,
                    folded=folded.number,
                )
            else:
                self._log.info(
                    "digest.joined",
                    incident=digest.id,
                    key=digest.key,
                    severity=severity,
                    folded=folded.number,
                )
        for digest in ended:
            self._log.info("digest.closed", incident=digest.id, key=digest.key)

    def stands(self, before: Standing, standing: Standing) -> None:
        """How the destination stands has changed, or not."""
        was, obstacle = before.obstacle, standing.obstacle
        if obstacle is not None and (was is None or was.reason != obstacle.reason):
            self._log.warning(
                "destination.paused",
                reason=obstacle.reason,
                detail=self._clean(obstacle.detail),
                until=instant(obstacle.until),
            )
        if obstacle is None and was is not None:
            self._log.info("destination.resumed", reason=was.reason)
        lesson = standing.lesson
        if lesson is not None and lesson != before.lesson:
            known = effective(lesson.limit, before.lesson, lesson.since).requests
            if lesson.allowed < known:
                self._log.warning("rate_limit.lowered", requests=lesson.allowed, before=known)
