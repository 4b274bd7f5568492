"""`alertbridge incidents`, `deliveries`, `events`, `deployments`, `destinations` and `audit`: what the running daemon has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from alertbridge.cli.listing import Listing, listing_group
from alertbridge.cli.table import second
from alertbridge.cli.waiting import with_hindrance
from alertbridge.deployments.deployment import Status
from alertbridge.model import Action, DeliveryState, EventOutcome

_SINCE = "From then on: 2h, 7d, or 2026-01-05T09:30:00Z."


def _event(item: Mapping[str, Any]) -> tuple[str, ...]:
    rules = dict.fromkeys(rule for alert in item["alerts"] for rule in alert["rules"])
    effects = dict.fromkeys(effect["effect"] for alert in item["alerts"] for effect in alert["incidents"])
    notes = dict.fromkeys(alert["note"] for alert in item["alerts"] if alert["note"])
    said = item["error"] or ", ".join([*effects, *notes])
    received = second(item["received_at"])
    return (
        item["id"],
        received,
        item["source"],
        item["outcome"],
        str(len(item["alerts"])),
        ", ".join(rules) or "-",
        said,
    )


def _incident(item: Mapping[str, Any]) -> tuple[str, ...]:
    firing = sum(alert["status"] == "firing" for alert in item["alerts"])
    marks = {mark: sum(bool(alert[mark]) for alert in item["alerts"]) for mark in ("stale", "held")}
    return (
        item["id"],
        item["destination"],
        item["state"],
        item["severity"],
        second(item["opened_at"]),
        second(item["closed_at"]),
        ", ".join([f"{firing}/{len(item['alerts'])}", *(f"{n} {mark}" for mark, n in marks.items() if n)]),
        item["rule"],
        _title(item["content"]["fields"]),
        item["key"],
    )


def _title(fields: Mapping[str, Any]) -> str:
    """What an incident is called where it is told: a key may be no more than a fingerprint."""
    return fields.get("title") or fields.get("description") or "-"


def _delivery(item: Mapping[str, Any]) -> tuple[str, ...]:
    lacking = f"missing: {', '.join(item['missing'])}" if item["missing"] else ""
    if item["state"] == DeliveryState.HELD:
        lacking += f"; alertbridge complete {item['incident']}"
    return (
        item["id"],
        item["destination"],
        item["action"],
        item["state"],
        str(item["attempts"]),
        second(item["created_at"]),
        item["key"],
        lacking or "; ".join(filter(None, (item.get("hindrance"), item["last_error"]))),
    )


def _deployment(item: Mapping[str, Any]) -> tuple[str, ...]:
    what = item["service"] or item["repo_url"] or "-"
    change = f"#{item['pr_number']}" if item["pr_number"] else "-"
    return (
        item["id"],
        what,
        item["environment"],
        item["status"],
        second(item["finished_at"]),
        change,
        (item["commit"] or "-")[:12],
        item["resolve"]["error"] or "",
    )


def _destination(item: Mapping[str, Any]) -> tuple[str, ...]:
    oldest = "-" if item["oldest_seconds"] is None else f"{item['oldest_seconds']:.0f} s"
    again = f", tried again at {second(item['resumes_at'])}" if item["resumes_at"] else ""
    why = ": ".join(filter(None, (item["reason"] and item["reason"] + again, item["detail"])))
    if not why and item["budget"] == 0 and item["waiting"]:
        why = "the rate limit is used up"
    counts = tuple(str(item[name]) for name in ("waiting", "held", "dead"))
    budget = "-" if item["budget"] is None else str(item["budget"])
    return (item["name"], item["type"], item["state"], *counts, oldest, budget, why)


def _entry(item: Mapping[str, Any]) -> tuple[str, ...]:
    about = item["delivery"] or item["incident"] or ""
    return (
        second(item["at"]),
        item["who"],
        item["action"],
        item["destination"] or "-",
        about,
        ", ".join(words(item["detail"])),
    )


def words(detail: Mapping[str, Any]) -> Iterator[str]:
    """What is kept of a deed as `name=value`; what is inside of something has no name before its own."""
    for name, value in detail.items():
        if isinstance(value, Mapping):
            yield from words(value)
        else:
            yield f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


INCIDENTS = Listing(
    name="incidents",
    one="incident",
    help="List what is open at each destination, and what was.",
    filters={
        "state": "Open ones, or closed ones.",
        "destination": "At this destination.",
        "key": "Of this key.",
        "source": "With an alert from this source.",
        "fingerprint": "With this alert.",
        "since": _SINCE,
    },
    words={"state": ("open", "closed")},
    head=("ID", "DESTINATION", "STATE", "SEVERITY", "OPENED", "CLOSED", "FIRING", "RULE", "TITLE", "KEY"),
    row=_incident,
)
DELIVERIES = Listing(
    name="deliveries",
    one="delivery",
    help="List what waits to be sent, what arrived, and what did not.",
    filters={
        "state": "In this state.",
        "destination": "To this destination.",
        "key": "Of this key.",
        "incident": "Of this incident.",
        "action": "That say this.",
        "since": _SINCE,
    },
    words={"state": tuple(DeliveryState), "action": tuple(Action)},
    head=("ID", "DESTINATION", "ACTION", "STATE", "TRIES", "CREATED", "KEY", "WHY"),
    row=_delivery,
    told=with_hindrance,
)
DESTINATIONS = Listing(
    name="destinations",
    one="destination",
    help="List the destinations and how they stand.",
    filters={},
    head=("NAME", "TYPE", "STATE", "WAITING", "HELD", "DEAD", "OLDEST", "BUDGET", "WHY"),
    row=_destination,
)
_LISTINGS = (
    INCIDENTS,
    DELIVERIES,
    Listing(
        name="events",
        one="event",
        help="List what was received, and what became of it.",
        filters={
            "source": "From this source.",
            "state": "With this outcome.",
            "since": _SINCE,
        },
        words={"state": tuple(EventOutcome)},
        head=("ID", "RECEIVED", "SOURCE", "OUTCOME", "ALERTS", "RULES", "WHAT BECAME OF THEM"),
        row=_event,
    ),
    Listing(
        name="deployments",
        one="deployment",
        help="List what CI and forges told of deployments.",
        filters={
            "state": "With this status.",
            "service": "Of this service.",
            "environment": "To this environment.",
            "since": _SINCE,
        },
        words={"state": tuple(Status)},
        head=("ID", "OF", "ENVIRONMENT", "STATUS", "FINISHED", "CHANGE", "COMMIT", "WHY"),
        row=_deployment,
    ),
    DESTINATIONS,
    Listing(
        name="audit",
        one="",
        help="List what operators did by hand.",
        filters={
            "incident": "To this incident.",
            "delivery": "To this delivery.",
            "destination": "At this destination.",
            "since": _SINCE,
        },
        head=("AT", "WHO", "ACTION", "DESTINATION", "OF", "DETAIL"),
        row=_entry,
    ),
)

incidents, deliveries, events, deployments, destinations, audit = map(listing_group, _LISTINGS)
