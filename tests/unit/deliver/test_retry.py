from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.deliver.retry import Settlement, delay, settle
from alertbridge.model import Ambiguous, Delivered, DeliveryState, Outcome, Paused, Rejected, Retry

NOW = datetime(2025, 9, 22, 11, 15, 0, tzinfo=UTC)
DAY = timedelta(hours=24)
CHANCE = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("attempts", "longest"),
    [(0, 1), (1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (17, 300), (10_000, 300)],
)
def test_the_wait_may_double_with_each_attempt_up_to_five_minutes(attempts: int, longest: int) -> None:
    assert delay(attempts, 0.5) == timedelta(seconds=longest / 2)
    assert delay(attempts, 0.999_999) <= timedelta(seconds=longest)


@given(st.integers(0, 10**9), CHANCE)
def test_no_wait_is_too_short_or_too_long(attempts: int, random: float) -> None:
    assert timedelta(milliseconds=100) <= delay(attempts, random) <= timedelta(minutes=5)


def test_the_shortest_wait_is_a_tenth_of_a_second() -> None:
    assert delay(1, 0.0) == delay(20, 0.0) == timedelta(milliseconds=100)


WAIT = NOW + timedelta(seconds=2)
YOUNG = DAY - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("outcome", "age", "settlement"),
    [
        (Delivered("inc-1"), YOUNG, Settlement(DeliveryState.DELIVERED, None, "", "delivered")),
        (Delivered(), DAY, Settlement(DeliveryState.DELIVERED, None, "", "delivered")),
        (Rejected("HTTP 400"), YOUNG, Settlement(DeliveryState.DEAD, None, "HTTP 400", "rejected")),
        (Retry("HTTP 500"), YOUNG, Settlement(DeliveryState.PENDING, WAIT, "HTTP 500", "retry")),
        (
            Retry("HTTP 500"),
            DAY,
            Settlement(DeliveryState.DEAD, None, "HTTP 500; given up: not delivered within 24 h", "retry"),
        ),
        (Ambiguous("no answer"), YOUNG, Settlement(DeliveryState.PENDING, WAIT, "no answer", "ambiguous")),
        (
            Ambiguous("no answer"),
            DAY,
            Settlement(
                DeliveryState.DEAD, None, "no answer; given up: not delivered within 24 h", "ambiguous"
            ),
        ),
        (
            Paused("rate_limited", "HTTP 429", timedelta(minutes=5)),
            YOUNG,
            Settlement(DeliveryState.PENDING, NOW, "rate_limited: HTTP 429", "paused"),
        ),
        (
            Paused("unauthorized", "HTTP 401"),
            10 * DAY,
            Settlement(DeliveryState.PENDING, NOW, "unauthorized: HTTP 401", "paused"),
        ),
    ],
)
def test_an_outcome_settles_a_delivery_like_this(
    outcome: Outcome, age: timedelta, settlement: Settlement
) -> None:
    assert settle(outcome, attempts=3, age=age, max_age=DAY, now=NOW, random=0.5) == settlement


@given(
    st.sampled_from([Delivered(), Retry("r"), Ambiguous("a"), Rejected("j"), Paused("p", "d")]),
    st.integers(1, 100),
    st.timedeltas(timedelta(), 2 * DAY),
    CHANCE,
)
def test_only_what_is_pending_is_tried_again_and_only_success_has_no_error(
    outcome: Outcome, attempts: int, age: timedelta, random: float
) -> None:
    settled = settle(outcome, attempts=attempts, age=age, max_age=DAY, now=NOW, random=random)
    assert (settled.next_attempt_at is not None) == (settled.state is DeliveryState.PENDING)
    assert (settled.error == "") == (settled.state is DeliveryState.DELIVERED)
    assert settled.next_attempt_at is None or settled.next_attempt_at >= NOW
