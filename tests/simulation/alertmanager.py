"""A pair of Alertmanagers as they were measured to act: groups, repeats, retries, stale news from the other peer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from random import Random

import orjson

from alertbridge.model import instant
from tests.simulation.connection import Answer
from tests.simulation.surroundings import LoopClock

_NEVER = "0001-01-01T00:00:00Z"
_RESENT_FOR = 900.0  # seconds that Prometheus goes on to say that an alert has resolved
_PEER_WAITS = 15.0
_TRIES = (0.5, 0.7, 1.1, 1.6, 2.5, 3.7, 5.6, 8.4)

Post = Callable[[bytes], Awaitable[Answer | None]]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it is now; instants in seconds."""

    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    group: str
    starts: float = 0.0
    ends: float | None = 0.0
    fired: bool = False

    @property
    def firing(self) -> bool:
        return self.fired and self.ends is None


@dataclass(frozen=True, slots=True)
class _Told:
    """What a group's receiver was last told, with success."""

    firing: frozenset[str]
    resolved: frozenset[str]
    at: float


@dataclass
class Source:
    """`post` sends one notification to the daemon. `told` is the notification log that both peers share, when they can."""

    clock: LoopClock
    random: Random
    post: Post
    tell: Callable[[str, str], None]
    group_interval: float = 30.0
    repeat_interval: float = 600.0
    often: dict[str, float] = field(default_factory=dict)  # groups that are repeated at another interval
    alerts: dict[str, Alert] = field(default_factory=dict)
    parted: bool = False
    heard: set[tuple[str, float, float | None]] = field(default_factory=set)  # what was acknowledged of each

    def __post_init__(self) -> None:
        self._logs: tuple[dict[str, _Told], dict[str, _Told]] = ({}, {})

    def fire(self, name: str) -> None:
        alert = self.alerts[name]
        if not alert.firing:
            self.alerts[name] = replace(alert, fired=True, starts=self.clock.monotonic(), ends=None)
            self.tell("source", f"{name} fires")

    def resolve(self, name: str) -> None:
        alert = self.alerts[name]
        if alert.firing:
            self.alerts[name] = replace(alert, ends=self.clock.monotonic())
            self.tell("source", f"{name} resolves")

    def rejoin(self) -> None:
        """The peers hear of each other again: the later word counts."""
        self.parted = False
        for group in sorted({*self._logs[0], *self._logs[1]}):
            newest = max((log[group] for log in self._logs if group in log), key=lambda told: told.at)
            for log in self._logs:
                log[group] = newest

    def quiet(self) -> bool:
        """Whether nothing is left to be notified of."""
        return not any(
            self._wanted(peer, group, self._members(group), repeat=False)
            for peer in (0, 1)
            for group in self._groups()
        )

    def lost(self) -> list[str]:
        """Alerts whose end nobody will tell: one peer has told an earlier end late, and both take it for this one.

        Real Alertmanagers lose it so, too: who wants to know then has to ask them.
        """
        return [
            alert.name
            for alert in self.alerts.values()
            if alert.ends is not None
            and (alert.name, alert.starts, None) in self.heard
            and (alert.name, alert.starts, alert.ends) not in self.heard
        ]

    async def run(self, peer: int) -> None:
        """One Alertmanager. Groups are flushed side by side, each one notification at a time."""
        await asyncio.sleep(self.random.uniform(0, self.group_interval))
        await asyncio.gather(*(self._flush_for_ever(peer, group) for group in self._groups()))

    def _groups(self) -> list[str]:
        return sorted({alert.group for alert in self.alerts.values()})

    def _members(self, group: str) -> list[Alert]:
        now = self.clock.monotonic()
        return [
            alert
            for alert in self.alerts.values()
            if alert.group == group
            and alert.fired
            and (alert.ends is None or now - alert.ends < _RESENT_FOR or self._owed(alert))
        ]

    def _owed(self, alert: Alert) -> bool:
        """Whether somebody has been told that it fires, and nothing since."""
        return any(alert.group in log and alert.name in log[alert.group].firing for log in self._logs)

    def _wanted(self, peer: int, group: str, members: list[Alert], *, repeat: bool = True) -> bool:
        told = self._logs[peer].get(group)
        firing = {alert.name for alert in members if alert.firing}
        resolved = {alert.name for alert in members if not alert.firing}
        if told is None:
            return bool(firing)
        if not firing <= told.firing:
            return True
        if not firing:
            return bool(told.firing)
        if not resolved <= told.resolved:
            return True
        interval = self.often.get(group, self.repeat_interval)
        return repeat and self.clock.monotonic() - told.at > interval

    async def _flush_for_ever(self, peer: int, group: str) -> None:
        while True:
            began = self.clock.monotonic()
            members = self._members(group)  # as they are now, however long it takes to say it
            if peer:
                await asyncio.sleep(_PEER_WAITS)
            if members and self._wanted(peer, group, members):
                await self._notify(peer, group, members, until=began + self.group_interval)
            await asyncio.sleep(max(0.0, began + self.group_interval - self.clock.monotonic()))

    async def _notify(self, peer: int, group: str, members: list[Alert], *, until: float) -> None:
        body = self._body(group, members, peer)
        said = ", ".join(f"{alert.name} {'fires' if alert.firing else 'is over'}" for alert in members)
        for wait in (*_TRIES, *[8.4] * 50):
            self.tell(f"am{peer}", f"posts {group}: {said}")
            answer = await self.post(body)
            status = answer.status if answer else 0
            self.tell(f"am{peer}", f"is answered {status or 'nothing'}")
            if 200 <= status < 300:
                self._remember(peer, group, members)
                return
            if 300 <= status < 500:
                return
            await asyncio.sleep(wait * self.random.uniform(0.5, 1.5))
            if self.clock.monotonic() >= until:
                return

    def _remember(self, peer: int, group: str, members: list[Alert]) -> None:
        told = _Told(
            frozenset(alert.name for alert in members if alert.firing),
            frozenset(alert.name for alert in members if not alert.firing),
            self.clock.monotonic(),
        )
        for alert in members:
            self.heard.add((alert.name, alert.starts, alert.ends))
        for other, log in enumerate(self._logs):
            if other == peer or not self.parted:
                log[group] = told

    def _body(self, group: str, members: list[Alert], peer: int) -> bytes:
        alerts = [
            {
                "status": "firing" if alert.firing else "resolved",
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": instant(self.clock.at(alert.starts)),
                "endsAt": _NEVER if alert.ends is None else instant(self.clock.at(alert.ends)),
                "generatorURL": "",
                "fingerprint": alert.labels["fingerprint"],
            }
            for alert in members
        ]
        firing = any(alert.firing for alert in members)
        return orjson.dumps(
            {
                "version": "4",
                "groupKey": f'{{}}:{{group="{group}"}}',
                "truncatedAlerts": 0,
                "status": "firing" if firing else "resolved",
                "receiver": "alertbridge",
                "groupLabels": {"group": group},
                "commonLabels": {},
                "commonAnnotations": {},
                "externalURL": f"http://am{peer}.example",
                "alerts": alerts,
            }
        )
