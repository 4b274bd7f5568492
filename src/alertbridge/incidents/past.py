"""When closed incidents ended: what keeps an event that is decided once more from telling again what was told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from alertbridge.model import AlertId

Place: TypeAlias = tuple[str, str]  # a destination and a key: where at most one incident is open


class Past:
    """The latest end of each alert at each destination, and of each place; closed incidents alone are looked at."""

    def __init__(
        self,
        *,
        alerts: Mapping[tuple[AlertId, str], datetime] | None = None,
        places: Mapping[Place, datetime] | None = None,
    ) -> None:
        self._alerts = dict(alerts or {})
        self._places = dict(places or {})

    def alert_ended(self, alert: AlertId, destination: str, moment: datetime) -> None:
        """An incident of that alert at that destination has closed."""
        self._alerts[alert, destination] = max(moment, self._alerts.get((alert, destination), moment))

    def place_ended(self, place: Place, moment: datetime) -> None:
        """An incident has closed there."""
        self._places[place] = max(moment, self._places.get(place, moment))

    def tells(self, alert: AlertId, place: Place, *, starts_at: datetime, heard_at: datetime) -> bool:
        """Whether an episode was told there already, or something later was.

        It was if the alert has ended at that destination, under whatever key, since it started; and what ended at the
        place after this was heard is later.
        """
        ended = self._alerts.get((alert, place[0]))
        closed = self._places.get(place)
        return (ended is not None and ended >= starts_at) or (closed is not None and closed >= heard_at)
