from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from alertbridge.incidents.decide import decide
from alertbridge.incidents.state import Changes, Heard, Hold, Incident, State
from alertbridge.model import (
    Action,
    Alert,
    AlertId,
    AlertStatus,
    Content,
    Intent,
    Reporting,
    Resend,
    Severity,
)
from tests.support.clock import NOON

MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return NOON + minutes * MINUTE


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"I{next(numbers):06d}"


@dataclass
class World:
    """Hears bodies one after the other and remembers what was announced."""

    stale_window: timedelta = timedelta(0)
    state: State = field(default_factory=State)
    said: list[tuple[str, Action, Severity]] = field(default_factory=list)
    new_id: Callable[[], str] = field(default_factory=ids)
    last: Changes = field(default_factory=Changes)

    def hear(self, *heard: Heard, now: float) -> list[tuple[str, str]]:
        """What this body makes alertbridge say: (key, action)."""
        self.last = decide(
            self.state,
            heard,
            now=at(now),
            stale_window=self.stale_window,
            rules_hash="r1",
            new_id=self.new_id,
        )
        self.state.absorb(self.last)
        said = [(self.state.incidents[a.incident].key, a.action, a.severity) for a in self.last.announcements]
        self.said += said
        return [(key, action.value) for key, action, _ in said]

    def effects(self) -> list[str]:
        return [effect.value for verdict in self.last.verdicts for _, effect in verdict.effects]

    def notes(self) -> list[str]:
        return [verdict.note for verdict in self.last.verdicts]

    def incident(self, key: str, destination: str = "elven") -> Incident:
        return max(
            (i for i in self.state.incidents.values() if i.place == (destination, key)), key=lambda i: i.id
        )


ELVEN = Intent("elven", Reporting.LIFECYCLE, "K", "rule", Severity.HIGH)
HIVEL = Intent("hivel", Reporting.RECORD, "K", "rule", Severity.HIGH)


def firing(
    name: str, *intents: Intent, starts: float = 0, dropped: bool = False, doubted: bool = False
) -> Heard:
    alert = Alert("prod", name, AlertStatus.FIRING, {"alertname": name}, {}, at(starts), None)
    return Heard(alert, ("rule",), intents, dropped, doubted)


def resolved(name: str, *intents: Intent, starts: float = 0, ends: float = 5, dropped: bool = False) -> Heard:
    alert = Alert("prod", name, AlertStatus.RESOLVED, {"alertname": name}, {}, at(starts), at(ends))
    return Heard(alert, ("rule",), intents, dropped)


def test_an_alert_opens_an_incident_and_its_resolve_closes_it() -> None:
    world = World()
    assert world.hear(firing("a", ELVEN, HIVEL), now=0) == [("K", "alarmed")]
    assert world.effects() == ["opened", "opened"]
    assert world.hear(resolved("a", ELVEN, HIVEL), now=5) == [("K", "resolved"), ("K", "record")]
    assert world.effects() == ["closed", "closed"]
    incident = world.incident("K", "hivel")
    assert (incident.opened_at, incident.closed_at) == (at(0), at(5))


def test_a_repeat_is_silent_and_only_refreshes_last_seen() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    assert world.hear(firing("a", ELVEN), now=240) == []
    assert world.effects() == ["repeated"]
    assert not world.last.incidents
    (member,) = world.last.members.values()
    assert member.last_seen == at(240)


def test_a_resolve_said_twice_is_silent() -> None:
    world = World()
    world.hear(firing("a", ELVEN, HIVEL), now=0)
    world.hear(resolved("a", ELVEN, HIVEL), now=5)
    assert world.hear(resolved("a", ELVEN, HIVEL), now=10) == []
    assert world.notes() == ["already resolved"]


def test_an_old_resolve_said_again_closes_nothing_newer() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    world.hear(resolved("a", ELVEN, ends=5), now=5)
    world.hear(firing("a", ELVEN, starts=7), now=7)
    assert world.hear(resolved("a", ELVEN, ends=5), now=8) == []
    assert world.notes() == ["older than the present episode"]
    assert world.incident("K").open


def test_an_old_end_told_late_makes_nothing_begin_before_the_last_one() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    world.hear(resolved("a", ELVEN, ends=5), now=5)
    world.hear(firing("a", starts=7), now=7)  # no rule wants it now
    world.hear(resolved("a", ends=3), now=8)
    world.hear(firing("a", starts=1), now=9)
    world.hear(firing("a", ELVEN, starts=1), now=10)
    assert world.incident("K").opened_at == at(5)


def test_a_resolve_with_a_start_never_heard_of_ends_the_episode() -> None:
    world = World()
    world.hear(firing("a", ELVEN, starts=0), now=0)
    assert world.hear(resolved("a", ELVEN, starts=3, ends=4), now=5) == [("K", "resolved")]


def test_a_later_firing_goes_to_the_stored_incident_whatever_the_rules_say_now() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    moved = replace(ELVEN, key="other", rule="new")
    assert world.hear(firing("a", moved), now=1) == []
    assert world.effects() == ["repeated"]
    assert world.hear(resolved("a", moved), now=5) == [("K", "resolved")]


def test_an_alert_that_the_rules_now_drop_still_ends_its_incident() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    world.hear(firing("a", dropped=True), now=1)
    assert world.effects() == ["repeated"]
    assert world.hear(resolved("a", dropped=True), now=5) == [("K", "resolved")]


def test_a_destination_added_by_new_rules_is_told_at_the_next_repeat() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    second = replace(ELVEN, destination="elven-2")
    assert world.hear(firing("a", ELVEN, second), now=1) == [("K", "alarmed")]
    assert world.effects() == ["repeated", "opened"]


def test_an_incident_stays_open_until_its_last_member_has_resolved() -> None:
    world = World()
    assert world.hear(firing("a", ELVEN), firing("b", ELVEN, starts=-2), now=0) == [("K", "alarmed")]
    assert world.incident("K").opened_at == at(-2)
    assert world.hear(resolved("a", ELVEN, ends=5), firing("b", ELVEN, starts=-2), now=5) == []
    assert world.effects() == ["repeated", "left"]
    assert world.hear(resolved("a", ELVEN, ends=5), resolved("b", ELVEN, ends=4), now=6) == [
        ("K", "resolved")
    ]
    assert world.incident("K").closed_at == at(5), "the latest end of a member"


def test_a_group_whose_members_change_in_one_flush_stays_one_incident() -> None:
    world = World()
    world.hear(firing("a", ELVEN, HIVEL), now=0)
    assert world.hear(resolved("a", ELVEN, HIVEL), firing("b", ELVEN, HIVEL, starts=5), now=5) == []
    assert len(world.state.incidents) == 2


def test_a_member_that_fires_again_in_an_open_incident_is_one_of_it_still() -> None:
    world = World()
    world.hear(firing("a", ELVEN), firing("b", ELVEN), now=0)
    world.hear(resolved("a", ELVEN, ends=3), now=3)
    assert world.hear(firing("a", ELVEN, starts=4), now=4) == []
    assert world.effects() == ["refired"]
    world.hear(resolved("b", ELVEN, ends=6), now=6)
    assert world.incident("K").open


def test_severity_is_the_highest_that_fires_and_a_rise_is_announced_once() -> None:
    world = World()
    low = replace(ELVEN, severity=Severity.LOW)
    critical = replace(ELVEN, severity=Severity.CRITICAL)
    world.hear(firing("a", low), now=0)
    assert world.hear(firing("b", critical), now=1) == [("K", "alarmed")]
    world.hear(resolved("b", critical, ends=2), now=2)
    assert world.incident("K").severity is Severity.LOW
    assert world.hear(firing("b", critical, starts=3), now=3) == [], "that height was announced before"
    assert world.incident("K").peak is Severity.CRITICAL


def test_a_rise_is_not_announced_where_the_rule_says_never() -> None:
    world = World()
    world.hear(firing("a", replace(ELVEN, severity=Severity.LOW, resend=Resend.NEVER)), now=0)
    assert world.hear(firing("b", replace(ELVEN, severity=Severity.CRITICAL)), now=1) == []


CHANGE = replace(ELVEN, resend=Resend.CHANGE)


@dataclass
class Told(World):
    """As a World, where the alert that is named to speak for an incident is taken at its word."""

    def speaks(self, *heard: Heard, now: float) -> dict[str, str | None]:
        """By key, the alert that the incident is to be retold from; None where the speaker was not heard."""
        self.hear(*heard, now=now)
        said = {**self.last.opened, **self.last.retold}
        for identifier, alert in said.items():
            if alert is not None:
                incident = self.state.incidents[identifier]
                self.state.incidents[identifier] = replace(incident, content=Content(speaker=alert.id))
        return {
            self.state.incidents[identifier].key: None if alert is None else alert.fingerprint
            for identifier, alert in self.last.retold.items()
        }


def test_an_open_incident_is_retold_from_the_alert_that_opened_it_while_it_fires() -> None:
    told = Told()
    assert told.speaks(firing("b", CHANGE), firing("a", CHANGE, starts=-2), now=0) == {}, "it opens"
    assert told.speaks(firing("b", CHANGE), now=1) == {"K": "b"}
    assert told.speaks(firing("a", CHANGE, starts=-2), firing("b", CHANGE), now=2) == {"K": "b"}
    assert told.speaks(firing("a", CHANGE, starts=-2), firing("c", CHANGE), now=3) == {"K": None}
    assert told.last.announcements == (), "whether it says anything new is found out when it is rendered"


def test_when_the_speaker_has_ended_the_alert_that_fires_longest_speaks_and_goes_on_speaking() -> None:
    told = Told()
    told.speaks(firing("c", CHANGE), firing("b", CHANGE), firing("a", CHANGE, starts=-2), now=0)
    assert told.speaks(resolved("c", CHANGE, ends=1), now=1) == {"K": None}, "but it is not heard now"
    assert told.speaks(firing("b", CHANGE), firing("a", CHANGE, starts=-2), now=2) == {"K": "a"}
    assert told.speaks(firing("c", CHANGE, starts=3), firing("a", CHANGE), now=3) == {"K": "a"}


def test_of_two_alerts_that_began_together_always_the_same_one_speaks() -> None:
    for order in (1, -1):
        told = Told()
        told.speaks(firing("x", CHANGE), firing("b", CHANGE), firing("a", CHANGE), now=0)
        heard = [firing("b", CHANGE), firing("a", CHANGE)][::order]
        assert told.speaks(*heard, resolved("x", CHANGE, ends=1), now=1) == {"K": "a"}


def test_what_is_over_is_not_retold_and_what_opens_again_is() -> None:
    told = Told()
    change = replace(CHANGE, reopen_window=10 * MINUTE)
    told.speaks(firing("a", change), now=0)
    assert told.speaks(firing("a", change), resolved("a", change, ends=5), now=5) == {}
    assert told.speaks(firing("b", change, starts=6), now=6) == {"K": "b"}
    assert [a.action for a in told.last.announcements] == [Action.ALARMED]


def test_the_choice_of_the_rule_that_opened_the_incident_counts() -> None:
    told = Told()
    other = replace(CHANGE, rule="other")
    told.speaks(firing("a", ELVEN), firing("b", replace(other, key="L")), now=0)
    assert told.speaks(firing("a", other), firing("c", other), now=1) == {}
    assert told.speaks(firing("b", replace(ELVEN, key="L")), now=2) == {"L": "b"}


def test_a_doubted_firing_does_not_speak() -> None:
    told = Told(stale_window=1.5 * MINUTE)
    told.speaks(firing("a", CHANGE), firing("b", CHANGE), now=0)
    told.speaks(resolved("a", CHANGE, ends=5), now=5)
    assert told.speaks(firing("a", CHANGE), now=5.2) == {}
    assert told.speaks(firing("a", CHANGE, doubted=True), now=6.7) == {"K": "a"}


def test_a_record_carries_the_highest_severity_reached() -> None:
    world = World()
    world.hear(firing("a", replace(HIVEL, severity=Severity.CRITICAL)), firing("b", HIVEL), now=0)
    world.hear(resolved("a", HIVEL, ends=1), now=1)
    world.hear(resolved("b", HIVEL, ends=2), now=2)
    assert world.said[-1] == ("K", Action.RECORD, Severity.CRITICAL)


def test_one_alert_may_belong_to_several_incidents() -> None:
    world = World()
    team = replace(ELVEN, key="team")
    assert world.hear(firing("a", ELVEN, team), now=0) == [("K", "alarmed"), ("team", "alarmed")]
    assert world.hear(firing("a", ELVEN, team), now=1) == []
    assert world.hear(resolved("a", ELVEN, team), now=5) == [("K", "resolved"), ("team", "resolved")]


def test_an_unknown_resolve_is_passed_on_once_per_key_and_makes_no_record() -> None:
    world = World()
    said = world.hear(resolved("a", ELVEN, HIVEL), resolved("b", ELVEN, HIVEL), now=5)
    assert said == [("K", "resolved")]
    assert world.effects() == ["unknown", "unknown"]
    assert world.hear(resolved("a", ELVEN, HIVEL), now=6) == []


def test_an_unknown_resolve_closes_nothing_while_others_fire_under_its_key() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    assert world.hear(resolved("b", ELVEN), now=5) == []
    assert world.incident("K").open


def test_an_unknown_resolve_is_ignored_where_the_rule_says_so() -> None:
    world = World()
    assert world.hear(resolved("a", replace(ELVEN, send_unknown_resolved=False)), now=5) == []
    assert world.notes() == ["never heard of before"]


def test_a_dropped_alert_leaves_no_trace_but_its_verdict() -> None:
    world = World()
    assert world.hear(firing("a", dropped=True), now=0) == []
    assert world.notes() == ["dropped"]
    assert not world.last.known
    world.hear(firing("b"), now=0)
    assert world.notes() == ["no rule matches"]


def test_an_alert_that_fires_again_opens_a_new_incident() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    world.hear(resolved("a", ELVEN, ends=5), now=5)
    assert world.hear(firing("a", ELVEN, starts=7), now=7) == [("K", "alarmed")]
    assert len(world.state.incidents) == 2


def test_within_the_reopen_window_the_same_incident_opens_again() -> None:
    world = World()
    elven, hivel = (replace(i, reopen_window=10 * MINUTE) for i in (ELVEN, HIVEL))
    world.hear(firing("a", elven, hivel), now=0)
    world.hear(resolved("a", elven, hivel, ends=5), now=5)
    (record,) = (a for a in world.last.announcements if a.action is Action.RECORD)
    assert record.not_before == at(15)
    assert world.hear(firing("a", elven, hivel, starts=8), now=8) == [("K", "alarmed")]
    assert world.effects() == ["reopened", "reopened"]
    assert world.last.reopened == {world.incident("K").id, world.incident("K", "hivel").id}
    world.hear(resolved("a", elven, hivel, ends=12), now=12)
    assert len(world.state.incidents) == 2
    assert world.incident("K", "hivel").opened_at == at(0)
    assert world.incident("K", "hivel").closed_at == at(12)


def test_after_the_reopen_window_a_new_incident_opens() -> None:
    world = World()
    elven = replace(ELVEN, reopen_window=10 * MINUTE)
    world.hear(firing("a", elven), now=0)
    world.hear(resolved("a", elven, ends=5), now=5)
    world.hear(firing("a", elven, starts=15), now=15)
    assert world.effects() == ["opened"]


def test_an_alert_with_two_keys_opens_the_one_again_while_the_other_is_still_open() -> None:
    world = World()
    team = replace(ELVEN, key="team")
    world.hear(firing("a", ELVEN, team), firing("b", team), now=0)
    assert world.hear(resolved("a", ELVEN, team, ends=5), now=5) == [("K", "resolved")]
    assert world.hear(firing("a", ELVEN, team, starts=6), now=6) == [("K", "alarmed")]
    assert world.effects() == ["refired", "opened"]
    assert world.hear(firing("a", ELVEN, team, starts=6), now=7) == []


def test_an_alert_that_is_moved_to_another_key_stays_where_it_is_until_that_is_over() -> None:
    world = World()
    moved = replace(ELVEN, key="L")
    world.hear(firing("a", ELVEN), firing("b", ELVEN), now=0)
    world.hear(resolved("a", ELVEN, ends=5), now=5)
    assert world.hear(firing("a", moved, ELVEN, starts=6), now=6) == [("L", "alarmed")]
    world.hear(resolved("a", moved, ELVEN, starts=6, ends=7), now=7)
    assert world.hear(firing("a", moved, starts=8), now=8) == []
    assert world.effects() == ["refired"]


def test_what_opens_in_an_episode_that_goes_on_begins_no_earlier_than_the_episode_before_ended() -> None:
    world = World()
    world.hear(firing("a", ELVEN, starts=0), now=0)
    world.hear(resolved("a", ELVEN, ends=5), now=5)
    world.hear(firing("a", ELVEN, starts=0), now=6)
    other = replace(ELVEN, destination="other")
    for now in (7, 8):
        world.hear(firing("a", ELVEN, starts=0), now=now)
    world.hear(firing("a", ELVEN, other, starts=0), now=9)
    assert world.incident("K", "other").opened_at == at(5)


def test_a_short_incident_makes_a_record_that_is_skipped_with_the_reason() -> None:
    world = World()
    hivel = replace(HIVEL, min_duration=10 * MINUTE)
    world.hear(firing("a", hivel), now=0)
    world.hear(resolved("a", hivel, ends=5), now=5)
    (record,) = world.last.announcements
    assert "min_duration" in record.skipped


def test_a_firing_that_did_not_start_after_the_last_end_is_doubted_and_a_resolve_settles_it() -> None:
    world = World(stale_window=1.5 * MINUTE)
    world.hear(firing("a", ELVEN, HIVEL), now=0)
    world.hear(resolved("a", ELVEN, HIVEL, ends=5), now=5)
    assert world.hear(firing("a", ELVEN, HIVEL), now=5.2) == []
    assert world.notes()[0].startswith("doubted")
    (doubt,) = world.last.doubts.values()
    assert doubt is not None
    assert doubt.due == at(6.7)
    assert world.hear(resolved("a", ELVEN, HIVEL, ends=5), now=5.4) == []
    assert world.last.doubts == {("prod", "a"): None}


def test_a_doubt_that_runs_out_counts_from_the_previous_end() -> None:
    world = World(stale_window=1.5 * MINUTE)
    world.hear(firing("a", ELVEN), now=0)
    world.hear(resolved("a", ELVEN, ends=5), now=5)
    world.hear(firing("a", ELVEN), now=5.2)
    assert world.hear(firing("a", ELVEN, doubted=True), now=6.7) == [("K", "alarmed")]
    assert world.incident("K").opened_at == at(5)
    assert not world.state.doubted


def test_a_real_new_episode_is_not_doubted_and_settles_a_doubt() -> None:
    world = World(stale_window=1.5 * MINUTE)
    world.hear(firing("a", ELVEN), now=0)
    world.hear(resolved("a", ELVEN, ends=5), now=5)
    world.hear(firing("a", ELVEN), now=5.2)
    assert world.hear(firing("a", ELVEN, starts=5.5), now=5.5) == [("K", "alarmed")]
    assert world.last.doubts == {("prod", "a"): None}


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_within_a_body_does_not_matter(order: int) -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    body = [resolved("a", ELVEN), firing("b", ELVEN, starts=5)][::order]
    assert world.hear(*body, now=5) == []


def test_an_incident_that_opens_and_closes_in_one_body_says_both_in_order() -> None:
    world = World()
    said = world.hear(firing("a", ELVEN), resolved("a", ELVEN, ends=1), now=2)
    assert said == [("K", "alarmed"), ("K", "resolved")]


def held(name: str, *intents: Intent, ends: float = 5, until: float = 15, doubted: bool = False) -> Heard:
    hold = Hold("watchdog", at(until), silent=True)
    return replace(resolved(name, *intents, ends=ends), hold=hold, doubted=doubted)


def test_a_resolve_that_is_held_changes_no_incident_and_says_why() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    assert world.hear(held("a", ELVEN), now=5) == []
    assert world.incident("K").open
    assert world.notes() == [
        "held: heartbeat watchdog is silent; it counts later unless the alert fires meanwhile"
    ]
    (doubt,) = world.last.doubts.values()
    assert doubt is not None
    assert (doubt.due, doubt.held_by, doubt.alert.ends_at) == (at(15), "watchdog", at(5))


def test_of_several_resolves_that_are_held_the_first_counts() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    world.hear(held("a", ELVEN), now=5)
    world.hear(held("a", ELVEN, ends=7, until=17), now=7)
    assert world.last.doubts == {}


def test_a_held_resolve_is_weighed_again_and_held_longer_or_counts_with_its_own_end() -> None:
    world = World()
    world.hear(firing("a", ELVEN, HIVEL), now=0)
    world.hear(held("a", ELVEN, HIVEL), now=5)
    assert world.hear(held("a", ELVEN, HIVEL, until=25, doubted=True), now=15) == []
    assert [doubt.due for doubt in world.last.doubts.values() if doubt] == [at(25)]
    again = replace(resolved("a", ELVEN, HIVEL, ends=5), doubted=True)
    assert world.hear(again, now=25) == [("K", "resolved"), ("K", "record")]
    assert world.incident("K", "hivel").closed_at == at(5)
    assert list(world.last.doubts.values()) == [None]


def test_a_firing_meanwhile_drops_a_held_resolve_and_is_a_repeat() -> None:
    world = World(stale_window=MINUTE)
    world.hear(firing("a", ELVEN), now=0)
    world.hear(held("a", ELVEN), now=5)
    assert world.hear(firing("a", ELVEN, starts=8), now=8) == []
    assert world.effects() == ["repeated"]
    assert list(world.last.doubts.values()) == [None]


def test_a_resolve_that_would_end_nothing_is_not_held() -> None:
    world = World()
    assert world.hear(held("a", ELVEN), now=5) == [("K", "resolved")]
    assert world.effects() == ["unknown"]
    assert world.hear(held("a", ELVEN), now=6) == []
    assert world.notes() == ["already resolved"]


def test_an_alert_whose_resolve_is_held_is_known_to_fire_so_that_nothing_forgets_it() -> None:
    world = World()
    world.hear(firing("a", ELVEN), now=0)
    world.hear(firing("a", ELVEN, HIVEL, starts=10), now=10)
    world.hear(resolved("a", ELVEN, HIVEL, ends=5), now=11)
    assert not world.state.known[AlertId("prod", "a")].firing
    world.hear(held("a", ELVEN, HIVEL, ends=12), now=12)
    assert world.state.known[AlertId("prod", "a")].firing
