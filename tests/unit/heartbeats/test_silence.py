"""When a heartbeat is silent: for every order of beats, looks, stops and reloads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.heartbeats.silence import Pulse, Turn, judged, restarted, tended
from alertbridge.model import Severity
from alertbridge.rules.condition import All
from alertbridge.rules.heartbeat import Heartbeat

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ONE = Heartbeat("one", All(()), 10 * SECOND, 5 * SECOND, Severity.CRITICAL)
QUIET = Pulse(ONE, 0.0)
SILENT = replace(QUIET, silent_since=NOON)


@pytest.mark.parametrize(
    ("listened", "waiting", "silent"),
    [(14.9, 0, False), (15, 0, True), (16, 1, True), (16, 2, False), (600, 3600, False)],
)
def test_it_is_silent_when_its_time_is_over_and_no_event_may_hold_a_beat(
    listened: float, waiting: int, *, silent: bool
) -> None:
    after, conclusions = judged({"one": QUIET}, {}, listened=listened, now=NOON, waiting=waiting * SECOND)

    assert [one.turn for one in conclusions] == [Turn.SILENT] * silent
    assert after["one"].silent is silent


def test_it_is_silent_since_it_was_last_heard() -> None:
    _, (conclusion,) = judged({"one": QUIET}, {}, listened=20, now=NOON)

    assert conclusion.since == NOON - 20 * SECOND


def test_a_silence_is_told_once() -> None:
    after, conclusions = judged({"one": SILENT}, {}, listened=1000, now=NOON)

    assert (after, conclusions) == ({"one": SILENT}, ())


def test_a_beat_ends_a_silence_and_begins_the_count_anew() -> None:
    after, (conclusion,) = judged({"one": SILENT}, {"one": NOON}, listened=1000, now=NOON)

    assert (conclusion.turn, conclusion.since) == (Turn.SPOKE, NOON)
    assert after == {"one": Pulse(ONE, 1000, NOON)}


def test_an_end_of_all_that_beats_is_silence_at_once_and_told_once() -> None:
    ended = NOON - SECOND
    after, (conclusion,) = judged({"one": QUIET}, {}, ends={"one": ended}, listened=1, now=NOON)

    assert (conclusion.turn, conclusion.since, conclusion.told) == (Turn.SILENT, ended, True)
    assert judged(after, {}, ends={"one": NOON}, listened=2, now=NOON) == (after, ())


def test_an_end_after_a_beat_of_what_was_silent_leaves_it_silent() -> None:
    beat = NOON + SECOND
    after, conclusions = judged({"one": SILENT}, {"one": beat}, ends={"one": beat}, listened=9, now=beat)

    assert (conclusions, after) == ((), {"one": replace(SILENT, last_beat=beat)})


def test_a_beat_of_what_is_not_configured_is_nothing() -> None:
    assert judged({"one": QUIET}, {"other": NOON}, listened=1, now=NOON) == ({"one": QUIET}, ())


def test_what_is_removed_is_forgotten_unless_it_is_silent() -> None:
    assert tended({"one": QUIET}, [], listened=1) == {}
    removed = tended({"one": SILENT}, [], listened=1)
    after, (conclusion,) = judged(removed, {}, listened=1, now=NOON)
    assert (after, conclusion.turn) == ({}, Turn.REMOVED)


def test_what_has_changed_is_counted_from_now_and_stays_silent() -> None:
    changed = replace(ONE, grace=SECOND)

    assert tended({"one": QUIET}, [changed], listened=9) == {"one": Pulse(changed, 9)}
    assert tended({"one": SILENT}, [changed], listened=9)["one"].silent
    assert tended({"one": QUIET}, [ONE], listened=9) == {"one": QUIET}


def test_what_could_not_be_heard_is_not_counted() -> None:
    assert restarted({"one": QUIET}, listened=9) == {"one": replace(QUIET, quiet_from=9)}


class Step(Enum):
    BEAT = auto()
    LOOK = auto()
    RESTART = auto()
    CHANGE = auto()


STEPS = st.lists(
    st.tuples(st.sampled_from(Step), st.integers(0, 20)), max_size=40
)  # what happens, and seconds before it


@given(STEPS)
def test_turns_alternate_and_every_silence_was_long_enough(steps: list[tuple[Step, int]]) -> None:
    """Against a plain reference: the second of the last thing that set the count back."""
    pulses, heartbeat, listened, last, silent = {"one": QUIET}, ONE, 0.0, 0.0, False
    for step, seconds in steps:
        listened += seconds
        beats: dict[str, datetime] = {}
        match step:
            case Step.BEAT:
                beats = {"one": NOON}
            case Step.LOOK:
                pass
            case Step.RESTART:
                pulses, last = restarted(pulses, listened=listened), listened
            case Step.CHANGE:
                heartbeat, last = replace(heartbeat, grace=heartbeat.grace + SECOND), listened
        pulses = tended(pulses, [heartbeat], listened=listened)
        pulses, conclusions = judged(pulses, beats, listened=listened, now=NOON + listened * SECOND)
        patience = heartbeat.patience.total_seconds()
        expected: list[Turn] = []
        if beats:
            expected, silent, last = [Turn.SPOKE] * silent, False, listened
        elif not silent and listened - last >= patience:
            expected, silent = [Turn.SILENT], True
        assert [one.turn for one in conclusions] == expected
        assert pulses["one"].silent is silent
