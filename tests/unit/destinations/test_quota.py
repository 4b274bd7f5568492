from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alertbridge.destinations.answers import interpret
from alertbridge.destinations.quota import LONGEST_HINT, retry_after, used_up
from alertbridge.model import Paused, Response

NOW = datetime(2025, 9, 22, 11, 15, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
SECOND = timedelta(seconds=1)
HOUR = 3600


def answer(headers: dict[str, str], status: int = 200) -> Response:
    return Response(status, headers, b"", NOW)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"ratelimit": '"default";r=0;t=30'}, 30),
        ({"ratelimit": '"default"; r=0 ; t=30'}, 30),
        ({"ratelimit": '"default";r=1;t=30'}, None),
        ({"ratelimit": '"default";t=30'}, None),
        ({"ratelimit": '"burst";r=5;t=9, "day";r=0;t=40'}, 40),
        ({"ratelimit": '"burst";r=0;t=9, "day";r=0;t=40'}, 40),
        ({"ratelimit": '"burst";r=0;t=9, "day";r=70;t=40'}, 9),
        ({"ratelimit": '"default";r=0', "ratelimit-policy": '"default";q=60;w=300'}, 300),
        ({"ratelimit": '"a";r=0', "ratelimit-policy": '"b";q=60;w=300'}, None),
        ({"ratelimit": '"default";r=0'}, None),
        ({"ratelimit": '"default";r=0;t=999999'}, HOUR),
        ({"ratelimit": '"default";r=0;t=-5'}, None),
        ({"ratelimit": '"default";r=0;t=' + "9" * 40}, None),
        ({"ratelimit": "limit=60, remaining=0, reset=50"}, 50),
        ({"ratelimit": "limit=60, remaining=1, reset=50"}, None),
        ({"ratelimit": "limit=60, remaining=0"}, None),
        ({"ratelimit": "soon"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "50"}, 50),
        ({"ratelimit-remaining": "-1", "ratelimit-reset": "50"}, 50),
        ({"ratelimit-remaining": "1", "ratelimit-reset": "50"}, None),
        ({"ratelimit-remaining": "0"}, None),
        ({"ratelimit-reset": "50"}, None),
        ({"ratelimit-remaining": "none", "ratelimit-reset": "50"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH + 70)}, 70),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str((EPOCH + 70) * 1000)}, 70),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH - 70)}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "4102444800"}, HOUR),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "Mon, 22 Sep 2025 11:16:00 GMT"}, 60),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "7.5"}, 7.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 99}, HOUR),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 101}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "5", "x-ratelimit-remaining": "9"}, 5),
    ],
)
def test_for_how_long_a_quota_is_used_up_is_read_from_every_family_of_headers(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert used_up(answer(headers)) == (None if seconds is None else seconds * SECOND)


@pytest.mark.parametrize("wrong", [timedelta(days=1), -timedelta(days=1), timedelta(hours=1)])
def test_a_date_is_read_by_the_clock_of_whoever_wrote_it(wrong: timedelta) -> None:
    headers = {"date": "Mon, 22 Sep 2025 11:15:00 GMT", "retry-after": "Mon, 22 Sep 2025 11:16:00 GMT"}
    resets = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(EPOCH + 70),
        "ratelimit-remaining": "0",
        "ratelimit-reset": "Mon, 22 Sep 2025 11:15:50 GMT",
    }
    said = Response(429, {**headers, **resets}, b"", NOW + wrong)
    assert retry_after(said) == 60 * SECOND
    assert used_up(said) == 70 * SECOND


@pytest.mark.parametrize("date", ["", "now", "0", "9" * 200, "Mon, 99 Sep 2025 11:15:00 GMT"])
def test_without_a_readable_date_of_its_own_an_answer_was_written_when_it_came(date: str) -> None:
    headers = {"date": date, "retry-after": "Mon, 22 Sep 2025 11:16:00 GMT"}
    assert retry_after(answer(headers, 429)) == 60 * SECOND


NAMES = st.sampled_from(
    [
        "retry-after",
        "ratelimit",
        "ratelimit-policy",
        *(
            f"{p}{n}"
            for p in ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
            for n in ("remaining", "reset", "limit")
        ),
    ]
)
VALUES = st.one_of(
    st.text(),
    st.integers().map(str),
    st.floats().map(str),
    st.from_regex(r'"?[a-z]*"?(; ?[rtqw] ?= ?-?[0-9]*){0,3}(, "b";r=0;t=[0-9]+)?', fullmatch=True),
    st.from_regex(
        r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9]+:[0-9]+:[0-9]+ [+\-A-Z0-9]*",
        fullmatch=True,
    ),
    st.from_regex(r"(limit|remaining|reset)=[0-9-]*(, (remaining|reset)=[0-9]*){0,2}", fullmatch=True),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, VALUES))
def test_nothing_in_a_header_breaks_the_reading_or_stops_alerts_for_long(headers: dict[str, str]) -> None:
    wait = used_up(answer(headers))
    assert wait is None or timedelta() < wait <= LONGEST_HINT
    asked = retry_after(answer(headers))
    assert asked is None or timedelta() <= asked <= timedelta(hours=24)
    outcome = interpret(answer(headers, 429))
    assert isinstance(outcome, Paused)
    assert outcome.after is None or timedelta() < outcome.after <= timedelta(hours=24)


def test_a_429_without_retry_after_waits_until_the_quota_is_there_again() -> None:
    quota = {"ratelimit": '"default";r=0;t=30'}
    assert interpret(answer(quota, 429)) == Paused("rate_limited", "HTTP 429", 30 * SECOND)
    both = quota | {"retry-after": "7"}
    assert interpret(answer(both, 429)) == Paused("rate_limited", "HTTP 429", 7 * SECOND)
