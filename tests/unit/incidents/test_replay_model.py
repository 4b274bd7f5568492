"""Whatever has happened, and whatever was dropped by mistake: what is decided once more is decided once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from alertbridge.incidents.decide import decide
from alertbridge.incidents.past import Past
from alertbridge.incidents.state import Announcement, Heard, State
from alertbridge.model import Action, Alert, AlertId, AlertStatus, Intent, Reporting, Severity
from tests.support.clock import NOON
from tests.unit.incidents.test_decide import ids

MINUTE = timedelta(minutes=1)
KEYS = {"a": "shared", "b": "shared", "c": "own", "d": "other"}


@dataclass(frozen=True)
class Said:
    """What a source said of one alert at a minute of the day; `dropped` is what the rules of that time made of it."""

    name: str
    minute: int
    start: int
    end: int | None
    dropped: bool

    @property
    def at(self) -> datetime:
        return NOON + self.minute * MINUTE

    def heard(self, *, dropped: bool) -> Heard:
        ended = None if self.end is None else NOON + self.end * MINUTE
        status = AlertStatus.FIRING if ended is None else AlertStatus.RESOLVED
        alert = Alert("prod", self.name, status, {"n": self.name}, {}, NOON + self.start * MINUTE, ended)
        elven = Intent("elven", Reporting.LIFECYCLE, KEYS[self.name], "rule", Severity.HIGH)
        hivel = replace(elven, destination="hivel", reporting=Reporting.RECORD)
        return Heard(alert, ("rule",), () if dropped else (elven, hivel), dropped)


@st.composite
def histories(draw: st.DrawFn, *, mistakes: bool = True) -> list[Said]:
    """Episodes of a few alerts, with repeats, resolves said again, and stretches in which all is dropped."""
    began: dict[str, int] = {}
    over: dict[str, tuple[int, int]] = {}
    history, dropping = list[Said](), False
    for minute in range(draw(st.integers(1, 30))):
        name = draw(st.sampled_from(sorted(KEYS)))
        if mistakes and draw(st.integers(0, 5)) == 0:
            dropping = not dropping
        if name not in began:
            if name in over and draw(st.integers(0, 3)) == 0:
                history.append(Said(name, minute, *over[name], dropping))
                continue
            began[name] = minute
            history.append(Said(name, minute, minute, None, dropping))
        elif draw(st.booleans()):
            history.append(Said(name, minute, began[name], None, dropping))
        else:
            over[name] = (began.pop(name), minute)
            history.append(Said(name, minute, *over[name], dropping))
    return history


@dataclass
class Relay:
    """Hears what is said, and hears it once more."""

    state: State = field(default_factory=lambda: State(past=Past()))

    def __post_init__(self) -> None:
        self.new_id = ids()

    def hear(self, said: Said, *, replayed: bool = False) -> tuple[Announcement, ...]:
        changes = decide(
            self.state,
            [said.heard(dropped=said.dropped and not replayed)],
            now=said.at,
            stale_window=timedelta(0),
            rules_hash="r",
            new_id=self.new_id,
            replayed=replayed,
        )
        self.state.absorb(changes)
        return changes.announcements

    def replay(self, history: list[Said]) -> list[Announcement]:
        return [one for said in history for one in self.hear(said, replayed=True)]

    def fires(self, name: str) -> set[str]:
        """The destinations at which it fires in an open incident."""
        homes = self.state.homes(AlertId("prod", name))
        return {incident.destination for incident, member in homes if member.firing}


def last_words(history: list[Said]) -> dict[str, Said]:
    return {said.name: said for said in history}


@settings(max_examples=500, deadline=None)
@given(histories(mistakes=False))
def test_what_was_told_is_not_told_again(history: list[Said]) -> None:
    relay = Relay()
    for said in history:
        relay.hear(said)
    assert relay.replay(history) == []


@settings(max_examples=1000, deadline=None)
@given(histories())
def test_twice_is_once(history: list[Said]) -> None:
    relay = Relay()
    for said in history:
        relay.hear(said)
    relay.replay(history)
    assert relay.replay(history) == []


@settings(max_examples=1000, deadline=None)
@given(histories())
def test_what_has_resolved_fires_nowhere_and_what_fires_is_not_ended(history: list[Said]) -> None:
    relay = Relay()
    for said in history:
        relay.hear(said)
    before = {name: relay.fires(name) for name in KEYS}
    relay.replay(history)
    for name, said in last_words(history).items():
        if said.end is None:
            assert relay.fires(name) >= before[name]
        else:
            assert relay.fires(name) == set()


@settings(max_examples=1000, deadline=None)
@given(histories())
def test_what_fires_and_was_dropped_is_told_where_its_key_is_its_own(history: list[Said]) -> None:
    relay = Relay()
    for said in history:
        relay.hear(said)
    relay.replay(history)
    for name, said in last_words(history).items():
        if said.end is None and name in {"c", "d"}:
            assert relay.fires(name) == {"elven", "hivel"}


@settings(max_examples=500, deadline=None)
@given(histories())
def test_elven_is_left_as_the_incidents_are(history: list[Said]) -> None:
    relay = Relay()
    announced = [one for said in history for one in relay.hear(said)]
    announced += relay.replay(history)
    shown: dict[str, bool] = {}
    for one in announced:
        incident = relay.state.incidents[one.incident]
        if incident.destination == "elven":
            shown[incident.key] = one.action is Action.ALARMED
    open_keys = {i.key for i in relay.state.incidents.values() if i.open and i.destination == "elven"}
    assert {key for key, alarmed in shown.items() if alarmed} == open_keys


def test_what_is_known_of_an_alert_is_never_taken_back_to_what_was_heard_before() -> None:
    relay = Relay()
    began, over = Said("c", 0, 0, None, dropped=False), Said("c", 5, 0, 5, dropped=False)
    relay.hear(began)
    relay.hear(over)
    known = dict(relay.state.known)
    assert relay.hear(began, replayed=True) == ()
    assert relay.state.known == known
