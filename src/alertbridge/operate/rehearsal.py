"""What would change if stored events were decided once more: all but the storing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from alertbridge.errors import AlertbridgeError
from alertbridge.incidents.state import Changes, Effect, State, merged
from alertbridge.model import JSON, Event, instant
from alertbridge.pipeline import Bridge, recall, understand, weigh

_SILENT = frozenset({Effect.REPEATED})
_SETTLED = "nothing new; what was doubted or held of it no longer is"


class Rehearsal:
    """Decides events on what the database says, and on what it has decided itself so far."""

    def __init__(self, *, bridge: Bridge, new_id: Callable[[], str]) -> None:
        self._bridge = bridge
        self._new_id = new_id
        self._so_far = Changes()
        self.failed = 0

    def play(
        self, connection: Connection, events: Iterable[Event], *, now: datetime
    ) -> list[dict[str, JSON]]:
        """What these events would change, one entry for each that changes anything."""
        inputs = []
        for event in events:
            try:
                inputs.append(understand(self._bridge, replace(event, replay_of=event.id)))
            except AlertbridgeError:
                self.failed += 1
        state = recall(connection, inputs, now)
        state.absorb(self._so_far)
        told, all_changes = [], [self._so_far]
        for item in inputs:
            changes = weigh(self._bridge, state, item, now=now, new_id=self._new_id)
            state.absorb(changes)
            all_changes.append(changes)
            if item.event is not None and (changes.announcements or changes.doubts):
                told.append(_told(item.event, changes, state))
        self._so_far = merged(all_changes)
        return told


def _told(event: Event, changes: Changes, state: State) -> dict[str, JSON]:
    return {
        "event": event.id,
        "source": event.source,
        "received_at": instant(event.received_at),
        "alerts": became(changes, state),
        "messages": [
            {
                "destination": state.incidents[one.incident].destination,
                "key": state.incidents[one.incident].key,
                "action": one.action.value,
            }
            for one in changes.announcements
        ],
    }


def became(changes: Changes, state: State) -> list[JSON]:
    """What would become of those alerts that anything would become of; where `effects` is empty, `note` says why."""
    alerts: list[JSON] = []
    for verdict in changes.verdicts:
        effects: list[JSON] = [
            {
                "destination": state.incidents[incident].destination,
                "key": state.incidents[incident].key,
                "effect": effect.value,
            }
            for incident, effect in verdict.effects
            if effect not in _SILENT
        ]
        if effects or verdict.alert in changes.doubts:
            alerts.append(
                {
                    "fingerprint": verdict.alert.fingerprint,
                    "status": verdict.status,
                    "rules": list(verdict.rules),
                    "effects": effects,
                    "note": verdict.note or ("" if effects else _SETTLED),
                }
            )
    return alerts
