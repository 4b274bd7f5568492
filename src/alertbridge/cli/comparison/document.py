"""A comparison for programs."""

from __future__ import annotations

from dataclasses import asdict

from alertbridge.cli.comparison.result import Comparison, Standing
from alertbridge.cli.comparison.tally import Counted
from alertbridge.cli.comparison.touched import OpenIncident
from alertbridge.model import JSON, instant


def as_json(comparison: Comparison, *, good: bool) -> dict[str, JSON]:
    """Everything that was found out; `ok` says whether the exit status is 0."""
    standing = comparison.standing
    return {
        "ok": good,
        "current": asdict(comparison.current),
        "new": asdict(comparison.new),
        "daemon": standing.daemon if standing else None,
        "since": instant(comparison.since) if comparison.since else None,
        "oldest": instant(comparison.oldest) if comparison.oldest else None,
        "events": comparison.events,
        "alerts": comparison.alerts,
        "changed": comparison.changed,
        "unchanged": comparison.unchanged,
        "truncated": comparison.truncated,
        "unread": [{"source": name, **asdict(one)} for name, one in comparison.unread.items()],
        "notices": list(comparison.notices),
        "differences": [_group(one) for one in comparison.groups],
        "incidents": _incidents(standing) if standing else None,
    }


def _group(one: Counted) -> JSON:
    said: dict[str, JSON] = {**asdict(one.group), "alerts": one.alerts}
    if one.keys is not None:
        said["keys"] = {"before": one.keys[0], "after": one.keys[1]}
    said["examples"] = [asdict(example) for example in one.examples]
    return said


def _incidents(standing: Standing) -> JSON:
    return {
        "open": standing.open,
        "stranded": [
            {**_incident(one.incident), "reasons": list(one.reasons), "already": one.already}
            for one in standing.stranded
        ],
        "rekeyed": [
            {
                **_incident(one.incident),
                "how": one.turn.value,
                "alerts": one.alerts,
                "places": [{"destination": destination, "key": key} for destination, key in one.places],
                "rules": list(one.rules),
                "dropped": one.dropped,
            }
            for one in standing.rekeyed
        ],
        "unknown": [{**_incident(one.incident), "alerts": one.alerts} for one in standing.unknown],
        "undelivered": dict(standing.undelivered),
        "undecided": dict(standing.undecided),
    }


def _incident(incident: OpenIncident) -> dict[str, JSON]:
    names = ("id", "destination", "key", "rule", "severity", "opened_at")
    said: dict[str, JSON] = {name: getattr(incident, name) for name in names}
    return {**said, "firing": len(incident.firing)}
