"""What is told together where too much is to be told: one incident that stands for many of low severity. Pure.

A digest is an incident of its own at one destination, without alerts: its members are incidents. It is over when each
of them is closed, or has been told by itself after all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from alertbridge.incidents.state import Incident
from alertbridge.model import JSON, Content, Reporting, Resend, Severity

RULE: Final = "alertbridge/digest"  # no rule may be called so
KEY_PREFIX: Final = "alertbridge/digest/"
_LONGEST_TITLE = 200
_LONGEST_KEY = 255
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Overflow:
    """When to fold: more than `after` messages wait beyond the budget. What: openings of at most the severity `highest`.

    `room` is how many characters the destination takes to list them in.
    """

    after: int
    highest: Severity
    room: int

    def bearable(self, allowed: int) -> int:
        """How many messages may wait, where `allowed` may go at once, before anything is folded."""
        return allowed + self.after


@dataclass(frozen=True, slots=True)
class Opening:
    """A waiting `alarmed` that may be folded. `told_by` is the open digest that stands for its incident already."""

    delivery: str
    incident: str
    key: str
    rank: datetime
    received_at: datetime
    told_by: str | None = None


def fold(openings: Sequence[Opening], *, first: Collection[str], joinable: bool) -> tuple[Opening, ...]:
    """Which of `openings` are not told by themselves, where too much waits: all but the deliveries that go `first`.

    One alone makes no digest; it joins one that is `joinable`.
    """
    beyond = [one for one in openings if one.delivery not in first]
    fresh = sum(1 for one in beyond if one.told_by is None)
    if fresh < _FEWEST and not joinable:
        return tuple(one for one in beyond if one.told_by is not None)
    return tuple(beyond)


def opened(identifier: str, members: Sequence[Incident], *, room: int) -> Incident:
    """The digest of these incidents."""
    highest = max(one.severity for one in members)
    digest = Incident(
        id=identifier,
        destination=members[0].destination,
        reporting=Reporting.LIFECYCLE,
        key=f"{KEY_PREFIX}{identifier}",
        rule=RULE,
        rules_hash=members[0].rules_hash,
        severity=highest,
        peak=highest,
        opened_at=min(one.opened_at for one in members),
        resend=Resend.NEVER,
    )
    return replace(digest, content=_content(members, highest, room))


def closed(digest: Incident, members: Iterable[Incident], *, now: datetime) -> Incident:
    """The digest when it is over: since the last of its members ended; since now where one goes on by itself."""
    ends = [one.closed_at or now for one in members]
    return replace(digest, closed_at=max([*ends, digest.opened_at]))


def _content(members: Sequence[Incident], highest: Severity, room: int) -> Content:
    lower = any(one.severity < highest for one in members)
    title = f"{len(members)} alerts of {highest.word} severity{' and below' if lower else ''}"
    fields: dict[str, JSON] = {
        "title": title,
        "description": _listed(members, room),
        "tags": {"digest": "true"},
    }
    return Content(fields=fields, origins=dict.fromkeys(fields, "default"))


def _listed(members: Sequence[Incident], room: int) -> str:
    """A line for each member, as many as fit; of the rest the number."""
    lines = ["More alerts than the rate limit lets through are told as one. It is over when all of them are."]
    last = f"and {len(members)} more"
    left = room - len(lines[0]) - len(last) - 1
    for place, one in enumerate(members):
        line = f"- {_named(one)}"
        if len(line) + 1 > left:
            return "\n".join([*lines, f"and {len(members) - place} more"])
        lines.append(line)
        left -= len(line) + 1
    return "\n".join(lines)


def _named(incident: Incident) -> str:
    """Its title and key, each left out where it is too long: neither is cut."""
    said = incident.content.fields.get("title")
    title = " ".join(said.split()) if isinstance(said, str) else ""
    key = incident.key if len(incident.key) <= _LONGEST_KEY else f"incident {incident.id}"
    return f"{title} ({key})" if title and len(title) <= _LONGEST_TITLE else key
