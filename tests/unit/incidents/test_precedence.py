from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alertbridge.incidents.precedence import rank
from alertbridge.model import Severity
from tests.support.clock import NOON

SECOND = timedelta(seconds=1)


def test_of_what_came_together_the_more_severe_goes_first_and_news_before_updates() -> None:
    order = [
        rank(NOON, severity, news=news)
        for severity in sorted(Severity, reverse=True)
        for news in (True, False)
    ]
    assert all(first < second for first, second in pairwise(order))


def test_of_what_is_alike_the_older_goes_first() -> None:
    assert rank(NOON, Severity.LOW, news=True) < rank(NOON + SECOND, Severity.LOW, news=True)


@given(st.sampled_from(Severity), st.sampled_from(Severity), st.booleans(), st.booleans())
def test_what_has_waited_long_enough_goes_before_anything_new(
    waiting: Severity,
    new: Severity,
    first: bool,  # noqa: FBT001 - given by hypothesis
    second: bool,  # noqa: FBT001 - given by hypothesis
) -> None:
    later = NOON + timedelta(minutes=65) + SECOND
    assert rank(NOON, waiting, news=first) < rank(later, new, news=second)
