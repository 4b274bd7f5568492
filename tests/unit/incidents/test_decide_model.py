"""Random histories, held against a model so naive that it can be read in one breath."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from alertbridge.destinations.elven import Elven
from alertbridge.incidents.decide import decide
from alertbridge.incidents.state import Changes, Heard, Incident, State
from alertbridge.model import Action, Alert, AlertStatus, Intent, Reporting, Resend, Secret, Severity
from alertbridge.pipeline import Bridge, render
from alertbridge.rules.condition import All
from alertbridge.rules.rule_set import RuleSet
from alertbridge.rules.rulebook import Rule, Rulebook, Send, Target
from tests.support.clock import NOON
from tests.unit.incidents.test_decide import ids

SECOND = timedelta(seconds=1)
KEYS = {"a": "shared", "b": "shared", "c": "shared", "d": "own", "e": "other"}
SEVERITY = dict(zip(KEYS, Severity, strict=True))


@dataclass
class Naive:
    """One alert as a plain person would track it; times in seconds."""

    firing: bool = False
    start: int = 0
    ended: int = -1
    heard: bool = False

    def hear(self, status: str, start: int, end: int) -> None:
        if status == "firing" and not self.firing:
            self.firing, self.start = True, max(start, self.ended)
        if status == "resolved" and self.firing and end >= self.start:
            self.firing, self.ended = False, end
        elif status == "resolved" and not self.heard:
            self.ended = end
        self.heard = True


@dataclass
class Destination:
    """What an Elven that believes the last message would show, and every record that Hivel got."""

    alarmed: set[str] = field(default_factory=set)
    records: list[str] = field(default_factory=list)
    last_action: dict[str, Action] = field(default_factory=dict)


Say = tuple[str, str, int, int]
says = st.tuples(
    st.sampled_from(sorted(KEYS)),
    st.sampled_from(["firing", "resolved"]),
    st.integers(0, 40),
    st.integers(0, 20),
).map(lambda s: (s[0], s[1], s[2], s[2] + s[3]))
bodies = st.lists(st.lists(says, min_size=1, max_size=5, unique_by=lambda s: s[0]), max_size=25)


def heard(say: Say) -> Heard:
    name, status, start, end = say
    alert = Alert(
        "prod",
        name,
        AlertStatus(status),
        {},
        {},
        NOON + start * SECOND,
        NOON + end * SECOND if status == "resolved" else None,
    )
    elven = Intent("elven", Reporting.LIFECYCLE, KEYS[name], "rule", SEVERITY[name])
    return Heard(alert, ("rule",), (elven, replace(elven, destination="hivel", reporting=Reporting.RECORD)))


@settings(max_examples=300, deadline=None)
@given(bodies)
def test_what_is_announced_leaves_every_destination_as_the_naive_model_says(history: list[list[Say]]) -> None:
    state, new_id = State(), ids()
    people = {name: Naive() for name in KEYS}
    world = Destination()
    opened_for_hivel = 0
    for step, body in enumerate(history):
        for say in sorted(body, key=lambda s: s[1]):  # firing before resolved
            people[say[0]].hear(*say[1:])
        before = copy.deepcopy(vars(state))
        inputs = [heard(say) for say in body]
        changes = decide(
            state,
            inputs,
            now=NOON + (100 + step) * SECOND,
            stale_window=timedelta(0),
            rules_hash="r",
            new_id=new_id,
        )
        assert vars(state) == before, "deciding leaves the state as it is"
        assert len(changes.verdicts) == len(body), "every alert is answered for"
        state.absorb(changes)
        for announcement in changes.announcements:
            incident = state.incidents[announcement.incident]
            match announcement.action:
                case Action.ALARMED:
                    world.alarmed.add(incident.key)
                case Action.RESOLVED:
                    world.alarmed.discard(incident.key)
                case Action.RECORD:
                    assert incident.closed_at is not None
                    assert incident.opened_at <= incident.closed_at
                    world.records.append(incident.id)
                case Action.DEPLOYMENT:
                    raise AssertionError(announcement)
        opened_for_hivel += sum(
            1 for identifier in changes.opened if state.incidents[identifier].destination == "hivel"
        )
        assert world.alarmed == {KEYS[name] for name, one in people.items() if one.firing}
        open_places = [i.place for i in state.incidents.values() if i.open]
        assert len(open_places) == len(set(open_places)), "one key at one destination is one open incident"
        for incident in state.incidents.values():
            firing = {
                KEYS[n]: SEVERITY[n] for n in sorted(KEYS, key=lambda n: SEVERITY[n]) if people[n].firing
            }
            if incident.open:
                assert incident.severity == firing[incident.key]
    still_open = sum(1 for i in state.incidents.values() if i.open and i.destination == "hivel")
    assert len(world.records) == len(set(world.records)) == opened_for_hivel - still_open, (
        "one record an incident"
    )


@settings(max_examples=100, deadline=None)
@given(bodies)
def test_hearing_the_same_body_again_announces_nothing(history: list[list[Say]]) -> None:
    state, new_id = State(), ids()
    for step, body in enumerate(history):
        for again in (False, True):
            changes = decide(
                state,
                [heard(say) for say in body],
                now=NOON + (100 + step) * SECOND,
                stale_window=timedelta(0),
                rules_hash="r",
                new_id=new_id,
            )
            state.absorb(changes)
            assert not (again and changes.announcements)


WORDS = ("one", "two", "three")
Text = tuple[Say, str]
texts = st.lists(
    st.lists(
        st.tuples(says, st.sampled_from(WORDS)), min_size=1, max_size=5, unique_by=lambda text: text[0][0]
    ),
    max_size=25,
)


def _bridge() -> Bridge:
    """Elven, and one rule that leaves all fields to their defaults."""
    send = {"elven": Send(fields={}, severity=None, resend=Resend.CHANGE)}
    rule = Rule("rule", All(()), send, None, None, False, False, timedelta(0), timedelta(0))  # noqa: FBT003
    rulebook = Rulebook(
        rules=(rule,),
        severities={},
        services={},
        targets={"elven": Target(Elven.REPORTING, Elven.FIELDS)},
        hash="r",
    )
    return Bridge(
        {}, rulebook, RuleSet((), "r"), {"elven": Elven(name="elven", url=Secret("http://127.0.0.1/token"))}
    )


def worded(text: Text) -> Heard:
    (item,) = (heard(text[0]),)
    alert = replace(item.alert, labels={"name": text[0][0]}, annotations={"summary": text[1]})
    return replace(item, alert=alert, intents=(replace(item.intents[0], resend=Resend.CHANGE),))


@dataclass
class Speech:
    """What a plain person would read on Elven's page of each key."""

    people: dict[str, Naive] = field(default_factory=lambda: {name: Naive() for name in KEYS})
    speaker: dict[str, str] = field(default_factory=dict)
    page: dict[str, tuple[str, str, Severity]] = field(default_factory=dict)

    def hear(self, body: list[Text]) -> None:
        before = {key: self._firing(key) for key in set(KEYS.values())}
        for text in sorted(body, key=lambda text: text[0][1]):  # firing before resolved
            self.people[text[0][0]].hear(*text[0][1:])
        said = {text[0][0]: text[1] for text in body if text[0][1] == "firing"}
        for key, fired in before.items():
            self._look(key, said, [text for text in body if KEYS[text[0][0]] == key], new=not fired)

    def _look(self, key: str, said: dict[str, str], body: list[Text], *, new: bool) -> None:
        firing = self._firing(key)
        if not firing:
            self.page.pop(key, None)
            return
        if new:
            self.speaker[key] = next(text[0][0] for text in body if text[0][1] == "firing")
        elif self.speaker[key] not in firing and firing[0] in said:
            self.speaker[key] = firing[0]
        speaker = self.speaker[key]
        word, name = (
            (said[speaker], speaker) if speaker in said and (new or speaker in firing) else self.page[key][:2]
        )
        self.page[key] = word, name, max(SEVERITY[name] for name in firing)

    def _firing(self, key: str) -> list[str]:
        """The names that fire under `key`, those that do so longest first."""
        names = [name for name, one in self.people.items() if one.firing and KEYS[name] == key]
        return sorted(names, key=lambda name: (self.people[name].start, name))


@settings(max_examples=300, deadline=None)
@given(texts)
def test_where_every_change_is_sent_elven_always_shows_what_its_speaker_said_last(
    history: list[list[Text]],
) -> None:
    state, new_id, bridge = State(), ids(), _bridge()
    speech, page = Speech(), dict[str, tuple[str, str, Severity]]()
    for step, body in enumerate(history):
        for again in (False, True):
            now = NOON + (100 + step) * SECOND
            changes = decide(
                state,
                [worded(text) for text in body],
                now=now,
                stale_window=timedelta(0),
                rules_hash="r",
                new_id=new_id,
            )
            before = copy.deepcopy(vars(state))
            changes = render(bridge, changes, before=state, at=now)
            assert vars(state) == before, "rendering leaves the state as it is"
            state.absorb(changes)
            alarmed = _tell(page, changes, state)
            assert len(alarmed) == len(set(alarmed)), "nothing is announced twice at once"
            assert not (again and changes.announcements), "hearing it again is silent"
            if not again:
                speech.hear(body)
            assert page == speech.page


def _tell(page: dict[str, tuple[str, str, Severity]], changes: Changes, state: State) -> list[str]:
    """Let Elven's page show what is announced; an alarm for an open incident must say something new."""
    alarmed = []
    for announcement in changes.announcements:
        incident = state.incidents[announcement.incident]
        if announcement.action is Action.RESOLVED:
            page.pop(incident.key, None)
            continue
        shown = _shown(incident)
        assert page.get(incident.key) != shown
        page[incident.key] = shown
        alarmed.append(incident.id)
    return alarmed


def _shown(incident: Incident) -> tuple[str, str, Severity]:
    tags = incident.content.fields["tags"]
    assert isinstance(tags, dict)
    return str(incident.content.fields["title"]), str(tags["name"]), incident.severity
