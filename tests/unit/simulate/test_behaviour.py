from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.simulate.behaviour import (
    Answer,
    Behaviour,
    Close,
    Delay,
    Garbage,
    Hang,
    Temper,
    read_behaviour,
)


def temper(**said: Any) -> Temper:
    made = Temper()
    made.become(behaviour(said))
    return made


def behaviour(said: dict[str, Any]) -> Behaviour:
    read = read_behaviour(said)
    assert not isinstance(read, str), read
    return read


def statuses(made: Temper, count: int, key: str | None = None) -> list[int | None]:
    """The status of each answer that is forced upon `count` requests, None where there is none."""
    hits = (made.meet(key, now=0) for _ in range(count))
    return [hit.act.status if hit is not None and isinstance(hit.act, Answer) else None for hit in hits]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "must be an object"),
        ([], "must be an object"),
        ({}, "mode: required"),
        (
            {"mode": "sulk"},
            "mode: must be one of 'status', 'delay', 'hang', 'close', 'garbage', 'rate_limit', 'flap'",
        ),
        ({"mode": "status"}, "status: required"),
        ({"mode": "status", "status": 99}, "status: must be greater than or equal to 200"),
        ({"mode": "status", "status": "500"}, "status: must be a valid integer"),
        ({"mode": "status", "status": 500, "times": 0}, "times: must be greater than or equal to 1"),
        ({"mode": "status", "status": 500, "tmies": 3}, "tmies: unknown"),
        ({"mode": "status", "status": 500, "headers": {"Retry-After": 2}}, "headers.Retry-After: must be a string"),
        ({"mode": "status", "status": 500, "headers": {"A": "b\r\nC: d"}}, "headers.A: String should match pattern '^[\\x20-\\x7e]*$'"),
        ({"mode": "status", "status": 500, "match": {}}, "match.key: required"),
        ({"mode": "delay"}, "seconds: required"),
        ({"mode": "delay", "seconds": -1}, "seconds: must be greater than or equal to 0"),
        ({"mode": "hang", "record": "yes"}, "record: must be a valid boolean"),
        ({"mode": "garbage", "status": 200}, "status: unknown"),
        ({"mode": "rate_limit", "requests": 1}, "per_seconds: required"),
        ({"mode": "rate_limit", "requests": 0, "per_seconds": 1}, "requests: must be greater than or equal to 1"),
        ({"mode": "flap", "good": 1}, "bad: required"),
    ],
)  # fmt: skip
def test_a_wrong_behaviour_is_refused_with_the_reason(said: Any, reason: str) -> None:
    assert read_behaviour(said) == reason


@pytest.mark.parametrize(
    ("said", "takes_effect"),
    [
        ({"mode": "status", "status": 500}, False),
        ({"mode": "status", "status": 500, "record": True}, True),
        ({"mode": "status", "status": 302}, False),
        ({"mode": "status", "status": 202}, True),
        ({"mode": "status", "status": 200, "record": False}, False),
        ({"mode": "hang"}, False),
        ({"mode": "hang", "record": True}, True),
        ({"mode": "close"}, False),
        ({"mode": "close", "record": True}, True),
        ({"mode": "delay", "seconds": 2}, True),
        ({"mode": "garbage"}, True),
    ],
)
def test_a_request_takes_effect_as_its_answer_or_record_says(
    said: dict[str, Any], *, takes_effect: bool
) -> None:
    assert behaviour(said).takes_effect is takes_effect


@pytest.mark.parametrize(
    ("said", "act"),
    [
        ({"mode": "status", "status": 500}, Answer),
        ({"mode": "delay", "seconds": 2}, Delay),
        ({"mode": "hang"}, Hang),
        ({"mode": "close"}, Close),
        ({"mode": "garbage"}, Garbage),
    ],
)
def test_any_mode_ends_after_the_times_it_was_given(said: dict[str, Any], act: type) -> None:
    made = temper(**said, times=2)
    hits = [made.meet(None, now=0) for _ in range(3)]
    assert [hit and (hit.mode, type(hit.act)) for hit in hits] == [(said["mode"], act)] * 2 + [None]
    assert made.behaviour is None


def test_without_times_a_behaviour_goes_on_until_it_is_taken_back() -> None:
    made = temper(mode="status", status=500)
    assert statuses(made, 3) == [500] * 3
    made.become(None)
    assert statuses(made, 1) == [None]


def test_only_the_matching_key_is_hit_and_counted() -> None:
    made = temper(mode="status", status=500, times=2, match={"key": "a"})
    assert [statuses(made, 1, key) for key in ("b", "a", None, "a", "a")] == [
        [None],
        [500],
        [None],
        [500],
        [None],
    ]


@given(good=st.integers(1, 5), bad=st.integers(1, 5), count=st.integers(0, 40))
def test_flapping_is_good_then_bad_and_again(good: int, bad: int, count: int) -> None:
    wave = ([None] * good + [503] * bad) * count
    assert statuses(temper(mode="flap", good=good, bad=bad), count) == wave[:count]


@given(
    requests=st.integers(1, 4),
    per_seconds=st.integers(1, 20),
    steps=st.lists(st.integers(0, 8), max_size=60),
)
def test_a_rate_limit_holds_in_every_window_and_refuses_only_when_it_must(
    requests: int, per_seconds: int, steps: list[int]
) -> None:
    made = temper(mode="rate_limit", requests=requests, per_seconds=per_seconds)
    passed: list[int] = []
    for now in accumulate(steps):
        recent = [moment for moment in passed if moment > now - per_seconds]
        hit = made.meet(None, now=now)
        if len(recent) < requests:
            assert hit is None
            passed.append(now)
        else:
            assert hit is not None
            assert isinstance(hit.act, Answer)
            assert hit.act.status == 429
            assert hit.act.headers == {"Retry-After": str(max(1, recent[0] + per_seconds - now))}


def test_a_new_behaviour_forgets_the_counts_of_the_last() -> None:
    made = temper(mode="rate_limit", requests=1, per_seconds=10)
    assert statuses(made, 2) == [None, 429]
    made.become(behaviour({"mode": "rate_limit", "requests": 1, "per_seconds": 10}))
    assert statuses(made, 2) == [None, 429]
