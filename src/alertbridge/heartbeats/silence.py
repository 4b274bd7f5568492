"""When a heartbeat counts as silent, and when it is heard again. Pure.

Time is counted in seconds of listening, which stand still while the daemon is down, stopped or held up: what could not be
heard is nobody's silence. Clocks that are set do not matter to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from types import MappingProxyType

from alertbridge.rules.heartbeat import Heartbeat


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is believed of one heartbeat.

    `quiet_from` is the second of listening from which it is quiet: that of its last beat, or of the beginning.
    `heartbeat` is None for one that was kept by an earlier run and is not configured, or not looked at yet.
    """

    heartbeat: Heartbeat | None
    quiet_from: float
    last_beat: datetime | None = None
    silent_since: datetime | None = None

    @property
    def silent(self) -> bool:
        """Whether its silence has been told, and no beat since."""
        return self.silent_since is not None

    def quiet_for(self, listened: float) -> timedelta:
        """How long it has been listened for in vain."""
        return timedelta(seconds=max(0.0, listened - self.quiet_from))


class Turn(Enum):
    """What has become of a heartbeat."""

    SILENT = auto()
    SPOKE = auto()
    REMOVED = auto()  # from the configuration, while it was silent


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A turn, and the pulse with which it came: of a silent one as it is now, else as it was before.

    `told` says of a silence that it was not missed: its alert was said to have ended.
    """

    name: str
    turn: Turn
    pulse: Pulse
    told: bool = False

    @property
    def since(self) -> datetime:
        """From when it is, or was, silent."""
        assert self.pulse.silent_since is not None, "what turns is or was silent"
        return self.pulse.silent_since


def tended(
    pulses: Mapping[str, Pulse], heartbeats: Iterable[Heartbeat], *, listened: float
) -> dict[str, Pulse]:
    """The pulses of what is configured now, and of what is not and still silent.

    One that is new, or has changed, is counted from now; what is known of it stays.
    """
    wanted = {heartbeat.name: heartbeat for heartbeat in heartbeats}
    kept = {
        name: replace(pulse, heartbeat=None)
        for name, pulse in pulses.items()
        if name not in wanted and pulse.silent
    }
    for name, heartbeat in wanted.items():
        known = pulses.get(name)
        if known is None:
            kept[name] = Pulse(heartbeat, listened)
        elif known.heartbeat != heartbeat:
            kept[name] = replace(known, heartbeat=heartbeat, quiet_from=listened)
        else:
            kept[name] = known
    return kept


def judged(
    pulses: Mapping[str, Pulse],
    beats: Mapping[str, datetime],
    *,
    listened: float,
    now: datetime,
    waiting: timedelta = timedelta(0),
    ends: Mapping[str, datetime] = MappingProxyType({}),
) -> tuple[dict[str, Pulse], tuple[Conclusion, ...]]:
    """The pulses after these `beats`, the latest of each by name, and what has turned.

    `ends` says which have no alert that fires any more, after their beats, and when the last one ended: that is silence
    at once. `waiting` is how long the oldest event has waited to be decided: a beat may be behind it, so nothing is concluded of
    what has been overdue for less.
    """
    after: dict[str, Pulse] = {}
    conclusions: list[Conclusion] = []
    for name, pulse in pulses.items():
        if pulse.heartbeat is None:
            conclusions.append(Conclusion(name, Turn.REMOVED, pulse))
        elif name in ends:
            last = beats.get(name, pulse.last_beat)
            after[name] = replace(pulse, last_beat=last, silent_since=pulse.silent_since or ends[name])
            if not pulse.silent:
                conclusions.append(Conclusion(name, Turn.SILENT, after[name], told=True))
        elif name in beats:
            if pulse.silent:
                conclusions.append(Conclusion(name, Turn.SPOKE, pulse))
            after[name] = Pulse(pulse.heartbeat, listened, beats[name])
        elif not pulse.silent and _overdue(pulse, pulse.heartbeat, listened, waiting):
            silent = replace(pulse, silent_since=now - pulse.quiet_for(listened))
            conclusions.append(Conclusion(name, Turn.SILENT, silent))
            after[name] = silent
        else:
            after[name] = pulse
    return after, tuple(conclusions)


def restarted(pulses: Mapping[str, Pulse], *, listened: float) -> dict[str, Pulse]:
    """The same, counted from now: what came meanwhile could not be heard."""
    return {name: replace(pulse, quiet_from=listened) for name, pulse in pulses.items()}


def _overdue(pulse: Pulse, heartbeat: Heartbeat, listened: float, waiting: timedelta) -> bool:
    return pulse.quiet_for(listened) >= heartbeat.patience + waiting
