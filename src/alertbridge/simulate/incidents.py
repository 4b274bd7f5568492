"""What the two vendors believe after everything they have taken: the judge of truth for a test."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_HISTORY = 1000


class ElvenIncidents:
    """One present state per key, folded from what was said in the order in which it was taken.

    A title and a severity are those of the last `alarmed`; `since` is when the present state began.
    The `keep` most lately opened keys are kept, and of each the last 1,000 messages.
    """

    def __init__(self, *, keep: int) -> None:
        self._keep = keep
        self._incidents: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def alarm(self, key: str, *, severity: str, title: str, seq: int, at: datetime) -> None:
        """Open the incident, or say again that it is open."""
        incident = self._heard(key, "alarmed", at)
        incident["severity"], incident["title"] = severity, title
        incident["history"].append(
            {"seq": seq, "at": at, "action": "alarmed", "severity": severity, "title": title}
        )

    def resolve(self, key: str, *, seq: int, at: datetime) -> bool:
        """Close the incident; whether it was ever alarmed."""
        incident = self._heard(key, "resolved", at)
        incident["history"].append({"seq": seq, "at": at, "action": "resolved"})
        return bool(incident["alarmed"])

    def present(self) -> dict[str, Any]:
        """`{key: {state, severity, title, since, alarmed, resolved, history}}`, ready for JSON."""
        return {
            key: {**incident, "history": list(incident["history"])}
            for key, incident in self._incidents.items()
        }

    def forget(self) -> None:
        """Know no incident."""
        self._incidents.clear()

    def _heard(self, key: str, action: str, at: datetime) -> dict[str, Any]:
        incident = self._incidents.get(key)
        if incident is None:
            incident = {"state": None, "severity": None, "title": None, "since": at}
            incident |= {"alarmed": 0, "resolved": 0, "history": deque(maxlen=_HISTORY)}
            self._incidents[key] = incident
            if len(self._incidents) > self._keep:
                self._incidents.popitem(last=False)
        if incident["state"] != action:
            incident["state"], incident["since"] = action, at
        incident[action] += 1
        return incident


class HivelRecords:
    """Every record made, oldest first, the last `keep` of them.

    Hivel documents no idempotency, so a `provider_id` said twice makes two records; the later is flagged.
    """

    def __init__(self, *, keep: int) -> None:
        self._records: deque[dict[str, Any]] = deque(maxlen=keep)
        self._providers: OrderedDict[str, None] = OrderedDict()
        self._keep = keep

    def add(
        self, fields: Mapping[str, Any], *, provider: str, incident_id: str, seq: int, at: datetime
    ) -> bool:
        """Make the record; whether its `provider_id`, where it has one, had a record already."""
        duplicate = provider in self._providers
        if provider and not duplicate:
            self._providers[provider] = None
            if len(self._providers) > self._keep:
                self._providers.popitem(last=False)
        self._records.append(
            {**fields, "incident_id": incident_id, "duplicate": duplicate, "seq": seq, "at": at}
        )
        return duplicate

    def present(self) -> list[dict[str, Any]]:
        """The fields of each record as they were sent, with `incident_id, duplicate, seq, at`."""
        return list(self._records)

    def forget(self) -> None:
        """Know no record."""
        self._records.clear()
        self._providers.clear()
