"""What a decider needs to work in this thread alone, at once, with rules that are a plain table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection
from typing_extensions import override

from alertbridge.chronicle import Chronicle, Decision
from alertbridge.model import Alert, AlertId, Content, Event, Intent, Severity
from alertbridge.rules.condition import All
from alertbridge.rules.heartbeat import Heartbeat
from alertbridge.rules.rulebook import Plan

T = TypeVar("T")
Table = Mapping[AlertId, tuple[Intent, ...]]


class Disagreement(AssertionError):  # noqa: N818 - it is what is found, and a failed assertion
    """What the relay holds is not what the reference model believes."""


class PlainRules:
    """A rulebook that is a table: which incidents each alert goes to. Severity and text stand in the annotations.

    Those that are `beating` beat the one heartbeat, which vouches for whatever comes from where they do.
    """

    rules = ()

    def __init__(
        self, table: Table, number: int, *, beating: Collection[AlertId] = (), hold: timedelta = timedelta(0)
    ) -> None:
        self._table = table
        self._beating = beating
        self.heartbeats = (
            (Heartbeat("watchdog", All(()), hold, hold, Severity.HIGH, hold),) if beating else ()
        )
        self.hash = f"rules-{number}"

    def plan(self, alert: Alert, *, at: datetime) -> Plan:
        del at
        if alert.id in self._beating:
            return Plan((), dropped=False, intents=(), failures={}, heartbeats=("watchdog",))
        severity = Severity(int(alert.annotations["severity"]))
        intents = tuple(replace(wish, severity=severity) for wish in self._table.get(alert.id, ()))
        return Plan(("rule",) if intents else (), False, intents, {})  # noqa: FBT003 - a field named `dropped`

    def render(self, alert: Alert, *, rule: str, destination: str, at: datetime) -> Content:
        del rule, at
        text = alert.annotations["text"]
        fields = {"title": text, "description": text, "repo_url": "https://git.example/a", "pr_number": "1"}
        return Content({**fields, "reported_by": destination}, {}, {}, alert.id)

    def render_anew(
        self, alert: Alert, *, rule: str, destination: str, before: Content, at: datetime
    ) -> Content:
        del before
        return self.render(alert, rule=rule, destination=destination, at=at)


class QuietChronicle(Chronicle):
    """Counts and logs nothing; an input that could not be decided ends the test."""

    @override
    def decided(self, decisions: Sequence[Decision]) -> None:
        pass

    @override
    def failed(self, event: Event, reason: str, error: Exception | None) -> None:
        raise Disagreement(f"an event could not be decided: {reason}") from error

    @override
    def doubt_failed(self, alert: AlertId, reason: str, error: Exception | None) -> None:
        raise Disagreement(f"the doubt of {alert} could not be decided: {reason}") from error


class Crash(Exception):  # noqa: N818 - it is what happens, not a mistake
    """The process ended before the commit."""


@dataclass
class InlineStore:
    """A store without a thread: each work is one transaction, done at once."""

    connection: Connection
    crashing: bool = False

    async def write(self, work: Callable[[Connection], T]) -> T:
        with self.connection.begin():
            result = work(self.connection)
            if self.crashing:
                raise Crash
            return result


def at_once(coroutine: Any) -> Any:
    """Run what never waits for anything."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")
