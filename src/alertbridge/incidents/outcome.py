"""What an incident is, given its members; and who is to be told when it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from alertbridge.incidents.state import Announcement, Incident, Member
from alertbridge.model import Action, AlertId, Reporting, Resend


def fold(incident: Incident, members: Mapping[AlertId, Member]) -> Incident:
    """The incident as its members make it: open while one fires, as severe as the worst that fires."""
    firing = [member for member in members.values() if member.firing]
    if firing:
        severity = max(member.severity for member in firing)
        return replace(
            incident,
            severity=severity,
            peak=max(incident.peak, severity),
            opened_at=min(incident.opened_at, *(member.starts_at for member in firing)),
            closed_at=None,
            reopen_until=None,
            inferred=False,
        )
    ends = [member.ends_at for member in members.values() if member.ends_at is not None]
    closed_at = max(incident.opened_at, *ends) if ends else incident.opened_at
    reopen_until = closed_at + incident.reopen_window if incident.reopen_window else None
    inferred = any(member.inferred for member in members.values())
    return replace(incident, closed_at=closed_at, reopen_until=reopen_until, inferred=inferred)


def announce(before: Incident | None, after: Incident) -> list[Announcement]:
    """What the destination is to be told now that `before` (None: it is new) has become `after`, in order."""
    if after.reporting is Reporting.RECORD:
        return [] if after.open or after == before else [_record(after)]
    said: list[Announcement] = []
    if before is None or not before.open or _rises(before, after):
        said.append(Announcement(after.id, Action.ALARMED, after.severity))
    if not after.open:
        said.append(Announcement(after.id, Action.RESOLVED, after.severity))
    return said


def may_differ(before: Incident | None, after: Incident) -> bool:
    """Whether `after` is to be told again where anything that is sent differs from what `before` has said."""
    return before is not None and after.open and after.resend is Resend.CHANGE


def speaker(incident: Incident, members: Mapping[AlertId, Member]) -> AlertId:
    """The alert that an open incident is told of: the one that spoke last while it fires, then the one firing longest.

    So the texts do not go to and fro between two members that both fire.
    """
    last = incident.content.speaker
    if last is not None and last in members and members[last].firing:
        return last
    return min((member.starts_at, member.alert) for member in members.values() if member.firing)[1]


def _rises(before: Incident, after: Incident) -> bool:
    return after.open and after.resend is not Resend.NEVER and after.peak > before.peak


def _record(incident: Incident) -> Announcement:
    assert incident.closed_at is not None
    length = incident.closed_at - incident.opened_at
    skipped = (
        f"shorter than min_duration ({length} < {incident.min_duration})"
        if length < incident.min_duration
        else ""
    )
    return Announcement(incident.id, Action.RECORD, incident.peak, incident.reopen_until, skipped)
