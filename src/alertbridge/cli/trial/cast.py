"""The alerts of one test: what each step says of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from alertbridge.config.trial_settings import TrialAlert
from alertbridge.errors import AlertbridgeError
from alertbridge.model import Alert, AlertId, AlertStatus
from alertbridge.sources.alertmanager import fingerprint


class Cast:
    """Remembers every alert that was heard, so that later steps may leave out what stays the same.

    `start` is where the clock of the test began; `source` is whose an alert is that names none.
    """

    def __init__(self, *, start: datetime, source: str) -> None:
        self._start = start
        self._source = source
        self._known: dict[AlertId, Alert] = {}
        self._last: Alert | None = None

    def remember(self, alerts: Iterable[Alert]) -> None:
        """These were heard."""
        for alert in alerts:
            self._known[alert.id] = self._last = alert

    def say(self, written: TrialAlert, *, now: datetime, source: str | None) -> Alert:
        """The alert as it is written, with what is left out taken from before. Never from after `now`."""
        last = self._last
        same = written.labels is None
        if same and last is None:
            raise AlertbridgeError("the alert has no labels, and none was heard before")
        labels = last.labels if same and last else written.labels or {}
        name = written.source or source or (last.source if same and last else self._source)
        own = last.fingerprint if same and last else fingerprint(labels)
        identity = AlertId(name, written.fingerprint or own)
        known = self._known.get(identity)
        begun = known.starts_at if known and known.firing else now
        starts_at = min(self._instant(written.starts_at, begun), now)
        ends_at = None
        if written.status is AlertStatus.RESOLVED:
            ends_at = max(starts_at, min(self._instant(written.ends_at, now), now))
        annotations = written.annotations
        if annotations is None:
            annotations = dict(known.annotations) if known else {}
        return Alert(
            source=identity.source,
            fingerprint=identity.fingerprint,
            status=written.status,
            labels=labels,
            annotations=annotations,
            starts_at=starts_at,
            ends_at=ends_at,
        )

    def resolved(self, now: datetime) -> list[Alert]:
        """Every alert that fires, ended now."""
        return [
            replace(alert, status=AlertStatus.RESOLVED, ends_at=max(now, alert.starts_at))
            for alert in self._known.values()
            if alert.firing
        ]

    def firing(self, now: datetime) -> list[Alert]:
        """Every alert, firing: those that had ended begin now."""
        return [
            alert if alert.firing else replace(alert, status=AlertStatus.FIRING, starts_at=now, ends_at=None)
            for alert in self._known.values()
        ]

    def _instant(self, written: datetime | timedelta | None, otherwise: datetime) -> datetime:
        if written is None:
            return otherwise
        return self._start + written if isinstance(written, timedelta) else written
