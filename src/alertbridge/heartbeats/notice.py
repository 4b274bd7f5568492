"""What is written into the inbox when a heartbeat turns: an event in Alertmanager's shape, from alertbridge itself. Pure."""

from __future__ import annotations

from datetime import datetime

import orjson

from alertbridge.config.units import duration_text
from alertbridge.heartbeats.silence import Conclusion, Turn
from alertbridge.model import AlertId, AlertStatus, Event, instant
from alertbridge.rules.heartbeat import SELF, identity_of
from alertbridge.sources.alertmanager import fingerprint


def alert_of(name: str) -> AlertId:
    """The alert that the silence of this heartbeat is."""
    return AlertId(SELF, fingerprint(identity_of(name)))


def notice(conclusion: Conclusion, *, identifier: str, now: datetime) -> Event:
    """The event that tells of it; only what nobody has said is inferred: a silence, and an end by removal."""
    heartbeat, since, name = conclusion.pulse.heartbeat, conclusion.since, conclusion.name
    began = instant(since.replace(microsecond=0))
    silent = conclusion.turn is Turn.SILENT
    annotations = {"summary": f"heartbeat {name} silent since {began}"}
    labels = identity_of(name)
    if heartbeat is not None:
        labels["severity"] = heartbeat.severity.word
        said = (
            f"Every alert that matches the heartbeat {name} was said to have ended, which none does in health"
            if conclusion.told
            else f"No alert that matches the heartbeat {name} was heard for {duration_text(heartbeat.patience)} "
            f"(every {duration_text(heartbeat.every)}, grace {duration_text(heartbeat.grace)})"
        )
        may = "may be down" if conclusion.told else "may be down, or cannot reach alertbridge"
        annotations["description"] = f"{said}; {_last(conclusion)}. What watches {may}."
    alert = {
        "status": (AlertStatus.FIRING if silent else AlertStatus.RESOLVED).value,
        "fingerprint": alert_of(name).fingerprint,
        "labels": labels,
        "annotations": annotations,
        "startsAt": instant(since),
    }
    if not silent:
        alert["endsAt"] = instant(now)
    return Event(identifier, SELF, now, orjson.dumps({"alerts": [alert]}), _inferred(conclusion, began))


def _inferred(conclusion: Conclusion, began: str) -> str:
    match conclusion.turn:
        case Turn.SILENT:
            return f"heartbeat {conclusion.name} silent since {began}"
        case Turn.REMOVED:
            return f"heartbeat {conclusion.name} was removed from the configuration while it was silent"
        case Turn.SPOKE:
            return ""


def _last(conclusion: Conclusion) -> str:
    last = conclusion.pulse.last_beat
    return "it was never heard" if last is None else f"the last was at {instant(last.replace(microsecond=0))}"
