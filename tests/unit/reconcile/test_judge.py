"""What follows from what the peers say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.incidents.beliefs import Beliefs, Believed
from alertbridge.reconcile.answer import Answer, Listed, Told, Unknown
from alertbridge.reconcile.judge import Conclusion, Judgement, LeftOut, Memory, Suppressed, confirmed, judge

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FOR = 3 * MINUTE
DOWN = Unknown("b", "no answer within 10 s")


def believed(name: str = "f1", *, last_seen: datetime = NOON - MINUTE) -> Believed:
    return Believed(name, NOON - 10 * MINUTE, last_seen)


def beliefs(*names: str) -> Beliefs:
    return Beliefs(open={name: believed(name) for name in names})


def listed(name: str = "f1", state: str = "active", receivers: str = "bridge", **labels: str) -> Listed:
    return Listed(name, state, labels, {}, NOON - 10 * MINUTE, "", frozenset(receivers.split()))


def told(peer: str, *alerts: Listed) -> Told:
    return Told(peer, {alert.fingerprint: alert for alert in alerts})


def rounds(
    *each: list[Answer], beliefs: Beliefs, suppressed: Suppressed = Suppressed.KEEP
) -> list[Judgement]:
    """One round a minute, from noon on, each with what the one before remembered."""
    memory, found = Memory(), []
    for number, answers in enumerate(each):
        now = NOON + number * MINUTE
        judgement = judge(answers, beliefs, memory, now=now, absent_for=FOR, suppressed=suppressed)
        memory = judgement.memory
        found.append(judgement)
    return found


NOBODY: list[Answer] = [told("a"), told("b")]
SOMEBODY: list[Answer] = [told("a"), told("b", listed())]
HALF: list[Answer] = [told("a"), DOWN]


def test_an_alert_that_is_absent_on_all_peers_for_long_enough_ended_when_it_was_first_missed() -> None:
    *before, last = rounds(SOMEBODY, NOBODY, NOBODY, NOBODY, NOBODY, beliefs=beliefs("f1"))
    assert not any(one.ends for one in before)
    (end,) = last.ends
    assert (end.kind, end.fingerprint, end.ended_at) == (Conclusion.ABSENT, "f1", NOON + MINUTE)
    assert end.reason == "absent on all 2 peers since 2026-01-01T12:01:00Z"


def test_a_single_peer_is_called_so() -> None:
    alone: list[Answer] = [told("a")]
    (end,) = rounds(alone, alone, alone, alone, beliefs=beliefs("f1"))[-1].ends
    assert end.reason == "absent on its peer since 2026-01-01T12:00:00Z"


@pytest.mark.parametrize(
    "broken_by", [SOMEBODY, HALF, [DOWN, DOWN]], ids=["seen", "one unknown", "all unknown"]
)
def test_absence_that_is_broken_once_begins_anew(broken_by: list[Answer]) -> None:
    found = rounds(NOBODY, NOBODY, broken_by, NOBODY, NOBODY, NOBODY, NOBODY, beliefs=beliefs("f1"))
    assert [len(one.ends) for one in found] == [0, 0, 0, 0, 0, 0, 1]
    assert found[-1].ends[0].ended_at == NOON + 3 * MINUTE


def test_with_a_peer_unknown_nothing_is_ever_concluded() -> None:
    assert not any(one.ends for one in rounds(*[HALF] * 30, beliefs=beliefs("f1")))


def test_without_any_peer_nothing_is_concluded() -> None:
    assert not any(one.ends for one in rounds(*[[]] * 30, beliefs=beliefs("f1")))


def test_a_webhook_that_tells_of_the_alert_meanwhile_lets_its_absence_begin_anew() -> None:
    heard = Beliefs(open={"f1": believed(last_seen=NOON + MINUTE)})
    memory = Memory(absent={"f1": NOON})
    judgement = judge(NOBODY, heard, memory, now=NOON + FOR, absent_for=FOR)
    assert judgement.ends == ()
    assert judgement.memory.absent == {"f1": NOON + FOR}


@pytest.mark.parametrize(
    ("states", "choice", "ends"),
    [
        (("suppressed", "suppressed"), Suppressed.KEEP, False),
        (("suppressed", "suppressed"), Suppressed.RESOLVE, True),
        (("suppressed", "absent"), Suppressed.RESOLVE, True),
        (("suppressed", "absent"), Suppressed.KEEP, False),
        (("suppressed", "active"), Suppressed.RESOLVE, False),
        (("suppressed", "unprocessed"), Suppressed.RESOLVE, False),
        (("suppressed", "unknown"), Suppressed.RESOLVE, False),
    ],
)
def test_a_suppressed_alert_ends_at_once_where_that_is_wanted_and_all_peers_agree(
    states: tuple[str, str], choice: Suppressed, *, ends: bool
) -> None:
    answers: list[Answer] = [
        Unknown(peer, "down")
        if state == "unknown"
        else told(peer, *([] if state == "absent" else [listed(state=state)]))
        for peer, state in zip("ab", states, strict=True)
    ]
    (judgement,) = rounds(answers, beliefs=beliefs("f1"), suppressed=choice)
    assert [(end.kind, end.ended_at) for end in judgement.ends] == [(Conclusion.SUPPRESSED, NOON)] * ends


def test_a_suppressed_alert_that_is_kept_is_never_absent() -> None:
    silenced: list[Answer] = [told("a", listed(state="suppressed")), told("b")]
    assert not any(one.ends for one in rounds(*[silenced] * 9, beliefs=beliefs("f1")))


def test_a_doubted_firing_that_a_peer_lists_counts_at_once() -> None:
    (judgement,) = rounds([told("a"), told("b", listed())], beliefs=Beliefs(doubted={"f1": NOON}))
    ((adoption,), ends) = (judgement.adoptions, judgement.ends)
    assert (adoption.reason, ends) == ("active on b, so no old news", ())


def test_a_doubted_firing_that_no_peer_lists_was_old_news() -> None:
    (judgement,) = rounds(NOBODY, beliefs=Beliefs(doubted={"f1": NOON - MINUTE}))
    (end,) = judgement.ends
    assert (end.kind, end.starts_at, end.ended_at) == (Conclusion.OLD_NEWS, NOON - MINUTE, NOON - MINUTE)


@pytest.mark.parametrize("answers", [HALF, [told("a", listed(state="suppressed")), told("b")]])
def test_a_doubt_stays_while_the_peers_cannot_settle_it(answers: list[Answer]) -> None:
    (judgement,) = rounds(answers, beliefs=Beliefs(doubted={"f1": NOON}))
    assert (judgement.ends, judgement.adoptions) == ((), ())


def test_what_was_inferred_to_have_ended_and_is_active_is_taken_up_again() -> None:
    (judgement,) = rounds([told("a", listed()), DOWN], beliefs=Beliefs(inferred=frozenset({"f1"})))
    assert [one.reason for one in judgement.adoptions] == ["active on a, after its end was inferred"]


def test_nobody_elses_alert_is_adopted() -> None:
    (judgement,) = rounds([told("a", listed()), told("b")], beliefs=Beliefs())
    assert judgement.adoptions == ()


LEFT_OUT = LeftOut(r"team\.a", frozenset({("job", "api")}))


@pytest.mark.parametrize(
    ("alert", "adopted"),
    [
        (listed(receivers="team.a other", job="api"), True),
        (listed(receivers="team.a", job="api", state="suppressed"), False),
        (listed(receivers="teamxa", job="api"), False),
        (listed(receivers="other", job="api"), False),
        (listed(receivers="team.a", job="db"), False),
        (listed(receivers="team.a"), False),
    ],
)
def test_only_what_a_truncated_notification_may_have_left_out_is_adopted(
    alert: Listed, *, adopted: bool
) -> None:
    answers: list[Answer] = [told("a", alert), told("b")]
    judgement = judge(answers, Beliefs(), Memory(), now=NOON, absent_for=FOR, left_out=[LEFT_OUT])
    assert [one.listed for one in judgement.adoptions] == [alert] * adopted
    again = judge(answers, Beliefs(), judgement.memory, now=NOON, absent_for=FOR, left_out=[LEFT_OUT])
    assert again.adoptions == ()


@pytest.mark.parametrize("known", [beliefs("f1"), Beliefs(firing=frozenset({"f1"}))])
def test_what_is_believed_to_fire_is_not_adopted(known: Beliefs) -> None:
    alert = listed(receivers="team.a", job="api")
    judgement = judge([told("a", alert)], known, Memory(), now=NOON, absent_for=FOR, left_out=[LEFT_OUT])
    assert judgement.adoptions == ()


def test_an_adopted_alert_that_went_and_came_back_may_be_adopted_again() -> None:
    alert = listed(receivers="team.a", job="api")
    memory = Memory()
    for answers, expected in ([told("a", alert)], 1), ([told("a")], 0), ([told("a", alert)], 1):
        judgement = judge(answers, Beliefs(), memory, now=NOON, absent_for=FOR, left_out=[LEFT_OUT])
        assert len(judgement.adoptions) == expected
        memory = judgement.memory


# What was read may have moved on

MEMORY = Memory(absent={"f1": NOON - FOR})


@pytest.mark.parametrize(
    ("now_believed", "mentioned", "stands"),
    [
        (beliefs("f1"), frozenset[str](), True),
        (beliefs("f1"), frozenset({"f1"}), False),
        (Beliefs(), frozenset[str](), False),
        (Beliefs(open={"f1": replace(believed(), last_seen=NOON)}), frozenset[str](), False),
        (Beliefs(open={"f1": replace(believed(), starts_at=NOON)}), frozenset[str](), False),
    ],
)
def test_an_end_stands_only_while_what_is_believed_is_the_same(
    now_believed: Beliefs, mentioned: frozenset[str], *, stands: bool
) -> None:
    memory = Memory(absent={"f1": NOON - FOR})
    heard_before = Beliefs(open={"f1": replace(believed(), last_seen=NOON - 5 * MINUTE)})
    now_believed = Beliefs(
        open={
            name: replace(one, last_seen=NOON - 5 * MINUTE) if one.last_seen == NOON - MINUTE else one
            for name, one in now_believed.open.items()
        }
    )
    judgement = judge(NOBODY, heard_before, memory, now=NOON, absent_for=FOR)
    assert judgement.ends
    assert bool(confirmed(judgement, now_believed, mentioned=mentioned).ends) is stands


@pytest.mark.parametrize(
    ("now_believed", "mentioned", "stands"),
    [
        (Beliefs(), frozenset[str](), True),
        (Beliefs(), frozenset({"f1"}), False),
        (beliefs("f1"), frozenset[str](), False),
        (Beliefs(firing=frozenset({"f1"})), frozenset[str](), False),
    ],
)
def test_an_adoption_stands_only_while_the_alert_is_not_believed_to_fire(
    now_believed: Beliefs, mentioned: frozenset[str], *, stands: bool
) -> None:
    alert = listed(receivers="team.a", job="api")
    judgement = judge([told("a", alert)], Beliefs(), Memory(), now=NOON, absent_for=FOR, left_out=[LEFT_OUT])
    after = confirmed(judgement, now_believed, mentioned=mentioned)
    assert bool(after.adoptions) is stands
    assert bool(after.memory.adopted) is stands, "what is put off may be adopted later"


def test_a_doubt_that_was_settled_meanwhile_is_not_dropped() -> None:
    (judgement,) = rounds(NOBODY, beliefs=Beliefs(doubted={"f1": NOON}))
    assert confirmed(judgement, Beliefs(doubted={"f1": NOON}), mentioned=()).ends
    assert not confirmed(judgement, beliefs("f1"), mentioned=()).ends


# Properties

NAMES = ("f1", "f2", "f3")
STATES = st.sampled_from(["active", "suppressed", "unprocessed", "absent"])
ANSWER = st.one_of(st.just(None), st.fixed_dictionaries(dict.fromkeys(NAMES, STATES)))
ROUND = st.tuples(ANSWER, ANSWER)


def answers_of(said: tuple[dict[str, str] | None, ...]) -> list[Answer]:
    return [
        Unknown(peer, "down")
        if states is None
        else told(peer, *(listed(name, state) for name, state in states.items() if state != "absent"))
        for peer, states in zip("ab", said, strict=True)
    ]


@given(st.lists(ROUND, max_size=12), st.sampled_from(Suppressed))
def test_an_end_is_borne_out_by_every_peer_in_every_round_of_its_time(
    history: list[tuple[dict[str, str] | None, ...]], choice: Suppressed
) -> None:
    for number, judgement in enumerate(
        rounds(*map(answers_of, history), beliefs=beliefs(*NAMES), suppressed=choice)
    ):
        now = NOON + number * MINUTE
        for end in judgement.ends:
            if end.kind is Conclusion.ABSENT:
                first = int((end.ended_at - NOON) / MINUTE)
                assert now - end.ended_at >= FOR
                spoken = [states for said in history[first : number + 1] for states in said]
                assert all(states is not None and states[end.fingerprint] == "absent" for states in spoken)
            else:
                assert choice is Suppressed.RESOLVE
                states = {said[end.fingerprint] if said else "unknown" for said in history[number]}
                assert "suppressed" in states <= {"suppressed", "absent"}
            assert end.ended_at <= now


@given(st.lists(ROUND, max_size=12), st.sampled_from(Suppressed))
def test_nothing_that_is_gone_for_long_enough_is_overlooked(
    history: list[tuple[dict[str, str] | None, ...]], choice: Suppressed
) -> None:
    found = rounds(*map(answers_of, history), beliefs=beliefs(*NAMES), suppressed=choice)
    for number in range(3, len(history)):
        spoken = [states for said in history[number - 3 : number + 1] for states in said]
        for name in NAMES:
            if all(states is not None and states[name] == "absent" for states in spoken):
                assert name in {end.fingerprint for end in found[number].ends}
