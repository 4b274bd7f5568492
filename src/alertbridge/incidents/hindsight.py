"""What is asked before something that was decided already is decided once more: whatever came since prevails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alertbridge.incidents.past import Past, Place
from alertbridge.incidents.state import Incident, Known, Member
from alertbridge.model import Alert


@dataclass(frozen=True, slots=True)
class Hindsight:
    """Answers for news that was heard first at `heard_at`; where `past` is None it is heard now, and nothing came since."""

    past: Past | None
    heard_at: datetime

    def is_late(self, known: Known | None) -> bool:
        """Whether the alert was heard of since."""
        return self.past is not None and known is not None and known.last_seen > self.heard_at

    def is_refreshed(self, member: Member) -> bool:
        """Whether it fires there, and was heard of since."""
        return self.past is not None and member.firing and member.last_seen > self.heard_at

    def has_gone_on(self, alert: Alert, member: Member) -> bool:
        """Whether what was heard since says more of its part in an open incident: it fires still, or has ended."""
        if self.past is None:
            return False
        return self.is_refreshed(member) or (member.ends_at is not None and member.ends_at >= alert.starts_at)

    def is_told(self, alert: Alert, place: Place, latest: Incident | None) -> bool:
        """Whether this, or something later, was told at a place whose latest incident is `latest`."""
        if self.past is None:
            return False
        if latest is not None and latest.open and latest.opened_at > self.heard_at:
            return True
        return self.past.tells(alert.id, place, starts_at=alert.starts_at, heard_at=self.heard_at)
