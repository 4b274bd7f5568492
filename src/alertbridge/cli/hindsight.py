"""What was really decided about a stored event, as the daemon tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from alertbridge.cli.printable import printable
from alertbridge.model import EventOutcome

_SHORT = 12


def as_data(event: Mapping[str, Any], *, rules_hash: str) -> dict[str, Any]:
    """For programs: the event without its body; `same_rules` says whether these rules decided it, null if none did."""
    told = {
        name: event[name]
        for name in ("id", "source", "received_at", "outcome", "rules_hash", "error", "alerts")
    }
    return {**told, "same_rules": None if event["rules_hash"] is None else event["rules_hash"] == rules_hash}


def as_text(event: Mapping[str, Any], *, rules_hash: str) -> Iterator[str]:
    """For people, line by line: what became of each alert then, and whether these rules are those that decided."""
    title = click.style(f"event {event['id']}", bold=True)
    yield f"{title} of {event['source']}, received {event['received_at']}: {_outcome(event)}"
    for alert in event["alerts"]:
        rules = ", ".join(alert["rules"]) or "no rule"
        done = ", ".join(f"{one['effect']} {one['id']}" for one in alert["incidents"])
        note = f" ({alert['note']})" if alert["note"] else ""
        yield printable(f"  {alert['fingerprint']} {alert['status']}: {rules}: {done or 'no incident'}{note}")
    yield from _rules(event["rules_hash"], rules_hash)


def _outcome(event: Mapping[str, Any]) -> str:
    if event["outcome"] == EventOutcome.RECEIVED:
        return "not decided yet"
    if event["error"]:
        return f"{event['outcome']}: {printable(event['error'])}"
    return str(event["outcome"])


def _rules(then: str | None, now: str) -> Iterator[str]:
    if then is None:
        return
    if then == now:
        yield f"  by the same rules as below, {now[:_SHORT]}"
        return
    look = f"`alertbridge rules show {then[:_SHORT]}` prints those"
    yield click.style(f"  by other rules ({then[:_SHORT]}) than below ({now[:_SHORT]}); {look}", fg="yellow")
