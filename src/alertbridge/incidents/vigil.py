"""Which resolves are not to be believed yet, because what vouches for them is silent. Pure.

A heartbeat vouches for the alerts of the sources that it is heard from. Its own alert never ends in health: once every
alert that beats it is said to have ended, whatever watches there is dead, and ends that are told then are mere expiries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alertbridge.incidents.state import Heard, Hold
from alertbridge.model import Alert, AlertId
from alertbridge.rules.heartbeat import Heartbeat


@dataclass(frozen=True, slots=True)
class Beat:
    """An alert that beats a heartbeat, as it was last heard; `ends_at` is the last end that was told of it.

    Where the heartbeat was missed, and no end told, it does not fire either.
    """

    heartbeat: str
    alert: AlertId
    firing: bool
    starts_at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """The last silence of a heartbeat; `over` is when it was heard again, None while it lasts."""

    heartbeat: str
    since: datetime
    over: datetime | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What one body says of heartbeats: those that it `beat`, then those that `fell` silent by it, each with when."""

    beat: tuple[str, ...]
    fell: Mapping[str, datetime]


class Vigil:
    """What is known of all heartbeats that are listened for; `beats` and `silences` are what has changed of it."""

    def __init__(
        self, heartbeats: Iterable[Heartbeat], *, beats: Iterable[Beat], silences: Iterable[Silence]
    ) -> None:
        self.beats: dict[tuple[str, AlertId], Beat] = {}
        self.silences: dict[str, Silence] = {}
        self._heartbeats = tuple(heartbeats)
        self._known_beats = {(one.heartbeat, one.alert): one for one in beats}
        self._known_silences = {one.heartbeat: one for one in silences}

    def heed(self, heard: Sequence[Heard], *, now: datetime, stale_window: timedelta) -> News:
        """Take note of the beats in a body, and of ends of alerts that beat."""
        beat: list[str] = []
        fell: dict[str, datetime] = {}
        for one in heard:
            if one.alert.firing:
                beat += [name for name in one.heartbeats if self._beats(name, one.alert, now, stale_window)]
        for one in heard:
            if not one.alert.firing:
                ended = one.alert.ends_at or now
                fell |= {name: ended for name in one.heartbeats if self._ends(name, one.alert, ended)}
        return News(tuple(beat), fell)

    def weigh(self, heard: Heard, *, now: datetime) -> Heard:
        """The same, with until when it is held if it is a resolve that a heartbeat which is or was silent vouches for."""
        if heard.alert.firing or heard.heartbeats:
            return heard
        holds = [hold for one in self._heartbeats if (hold := self._hold(one, heard.alert, now)) is not None]
        return replace(heard, hold=max(holds, key=lambda hold: hold.until)) if holds else heard

    def _beats(self, name: str, alert: Alert, now: datetime, stale_window: timedelta) -> bool:
        """It is heard, unless this is old news: what began before its end was told, said again right after that."""
        known = self._beat(name, alert.id)
        ended = known.ends_at if known else None
        if known is None or not known.firing:
            if ended is not None and alert.starts_at <= ended and now < ended + stale_window:
                return False
            self.beats[name, alert.id] = Beat(
                name, alert.id, firing=True, starts_at=alert.starts_at, ends_at=ended
            )
        silence = self._silence(name)
        if silence is not None and silence.over is None:
            self.silences[name] = replace(silence, over=now)
        return True

    def _ends(self, name: str, alert: Alert, ended: datetime) -> bool:
        """It falls silent when the last alert that beats it ends; what never beat cannot end."""
        known = self._beat(name, alert.id)
        if known is None or not known.firing or known.starts_at > ended:
            return False
        self.beats[name, alert.id] = replace(known, firing=False, ends_at=ended)
        if any(one.firing for one in self._all_beats() if one.heartbeat == name):
            return False
        self.silences[name] = Silence(name, ended)
        return True

    def _hold(self, heartbeat: Heartbeat, alert: Alert, now: datetime) -> Hold | None:
        """While it is silent, and from its return for the span given what had ended before that.

        What was heard before that silence, and is decided only now, or once more, has nothing to do with it.
        """
        silence = self._silence(heartbeat.name)
        if silence is None or now < silence.since or not heartbeat.hold or not heartbeat.vouches_for(alert):
            return None
        if all(
            one.alert.source != alert.source for one in self._all_beats() if one.heartbeat == heartbeat.name
        ):
            return None
        if silence.over is None:
            return Hold(heartbeat.name, now + heartbeat.hold, silent=True)
        until = silence.over + heartbeat.hold
        if now < until and (alert.ends_at or now) <= silence.over:
            return Hold(heartbeat.name, until, silent=False)
        return None

    def _beat(self, name: str, alert: AlertId) -> Beat | None:
        return self.beats.get((name, alert)) or self._known_beats.get((name, alert))

    def _all_beats(self) -> Iterable[Beat]:
        return {**self._known_beats, **self.beats}.values()

    def _silence(self, name: str) -> Silence | None:
        return self.silences.get(name) or self._known_silences.get(name)
