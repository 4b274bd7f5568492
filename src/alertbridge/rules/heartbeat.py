"""A dead man's switch: alerts that must keep coming, and the alert that alertbridge raises when they do not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from alertbridge.model import Alert, Severity
from alertbridge.rules.condition import All

SELF: Final = "alertbridge"  # the source of what alertbridge itself raises; no configured source is called so
ALERTNAME: Final = "HeartbeatMissing"
_ALL = All(())


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Alerts that match `when` are its beats: they open no incident. It is silent after `every` and `grace` without one.

    Where `hold` is set, resolves of the alerts that match `holds` are held while it is silent, and that long afterwards.
    """

    name: str
    when: All
    every: timedelta
    grace: timedelta
    severity: Severity
    hold: timedelta = timedelta(0)
    holds: All = _ALL

    @property
    def patience(self) -> timedelta:
        """How long it may be quiet."""
        return self.every + self.grace

    @property
    def rule(self) -> str:
        """The name of the built-in rule that says what is sent when it is silent."""
        return rule_of(self.name)

    def is_beaten_by(self, alert: Alert) -> bool:
        """Whether the alert belongs to this heartbeat; a resolved one is no beat, yet it belongs."""
        return alert.source != SELF and self.when.matches(alert)

    def vouches_for(self, alert: Alert) -> bool:
        """Whether its silence casts doubt on an end of this alert, be it only because the labels are not known."""
        return alert.source != SELF and (alert.unlabelled or self.holds.matches(alert))


def rule_of(name: str) -> str:
    """The name of the built-in rule for the heartbeat of this name."""
    return f"heartbeat {name}"


def key_of(name: str) -> str:
    """The aggregate key of the incident that its silence is."""
    return f"{SELF}/heartbeat/{name}"


def identity_of(name: str) -> dict[str, str]:
    """The labels that make the alert of its silence the same alert, however severe it is called."""
    return {"alertname": ALERTNAME, "heartbeat": name}
