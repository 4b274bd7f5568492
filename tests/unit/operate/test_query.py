from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from alertbridge.operate.query import (
    DELIVERIES,
    DESTINATIONS,
    EVENTS,
    INCIDENTS,
    BadQuery,
    Listing,
    cursor,
    read_query,
)
from alertbridge.store.listings import Wanted

MOMENT = datetime(2024, 8, 1, 12, 34, 56, tzinfo=UTC)


def asked(listing: Listing, **params: str) -> Wanted:
    return read_query(listing, MultiDict(params))


def test_nothing_asked_is_everything_fifty_at_a_time() -> None:
    assert asked(EVENTS) == Wanted(limit=50)


@pytest.mark.parametrize(
    ("listing", "params", "wanted"),
    [
        (EVENTS, {"source": "prod", "state": "failed"}, Wanted(source="prod", state="failed")),
        (EVENTS, {"limit": "500"}, Wanted(limit=500)),
        (EVENTS, {"body": "whole"}, Wanted(body="whole")),
        (EVENTS, {"limit": "1"}, Wanted(limit=1)),
        (EVENTS, {"since": "2024-08-01T12:34:56Z"}, Wanted(since=MOMENT)),
        (EVENTS, {"since": "2024-08-01T14:34:56+02:00"}, Wanted(since=MOMENT)),
        (INCIDENTS, {"key": "", "fingerprint": "f"}, Wanted(key="", fingerprint="f")),
        (INCIDENTS, {"state": "open", "destination": "elven"}, Wanted(state="open", destination="elven")),
        (DELIVERIES, {"incident": "i", "action": "record"}, Wanted(incident="i", action="record")),
    ],
)
def test_what_is_asked_is_understood(listing: Listing, params: dict[str, str], wanted: Wanted) -> None:
    assert asked(listing, **params) == wanted


@pytest.mark.parametrize(
    ("listing", "params", "allowed"),
    [
        (EVENTS, {"State": "decided"}, ("body", "since", "source", "state", "limit", "cursor")),
        (DELIVERIES, {"source": "prod"}, (*DELIVERIES.filters, "limit", "cursor")),
        (DESTINATIONS, {"state": "ok"}, ("limit", "cursor")),
        (EVENTS, {"body": "half"}, ("whole",)),
        (EVENTS, {"state": "open"}, ("received", "decided", "malformed", "failed")),
        (INCIDENTS, {"state": "OPEN"}, ("open", "closed")),
        (DELIVERIES, {"action": "alarm"}, ("alarmed", "resolved", "record", "deployment")),
        *(
            (EVENTS, {"limit": text}, ("1 to 500",))
            for text in ("0", "501", "-1", "1.5", "", "x", "٣", "9" * 40)
        ),
        *(
            (EVENTS, {"since": text}, None)
            for text in (
                "",
                "yesterday",
                "2024-08-01",
                "2024-08-01T12:00:00",
                "2024-08-01T12:00:00 02:00",
                "1h",
            )
        ),
        *(
            (EVENTS, {"cursor": text}, ("the `next` of the page before",))
            for text in ("", "x", "é", "7", "ZXZlbnRzOg", "ZXZlbnRzOnB2", "ZXZlbnRzOi0x", "_w")
        ),
    ],
)
def test_what_cannot_be_understood_is_refused_with_what_is_allowed(
    listing: Listing, params: dict[str, str], allowed: tuple[str, ...] | None
) -> None:
    with pytest.raises(BadQuery) as refused:
        asked(listing, **params)
    (name,) = params
    assert refused.value.parameter == name
    assert allowed is None or refused.value.allowed == allowed
    assert str(refused.value).startswith(f"{name}: ")


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(BadQuery, match="state: given more than once"):
        read_query(EVENTS, MultiDict([("state", "failed"), ("state", "decided")]))


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_a_cursor_comes_back_as_the_place_it_stands_for(number: int) -> None:
    text = cursor(EVENTS, str(number))
    assert text is not None
    assert asked(EVENTS, cursor=text) == Wanted(after=str(number))


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_cursor_may_stand_for_any_name(name: str) -> None:
    text = cursor(DESTINATIONS, name)
    assert text is not None
    assert asked(DESTINATIONS, cursor=text) == Wanted(after=name)


def test_a_cursor_of_one_listing_is_none_of_another() -> None:
    with pytest.raises(BadQuery, match="not a cursor of deliveries"):
        asked(DELIVERIES, cursor=cursor(EVENTS, "7") or "")


def test_no_further_page_has_no_cursor() -> None:
    assert cursor(EVENTS, None) is None


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=14))])
    )
)
def test_every_instant_with_a_zone_is_understood(moment: datetime) -> None:
    assert asked(EVENTS, since=moment.isoformat()).since == moment


@given(st.text())
def test_no_text_is_worse_than_a_bad_query(text: str) -> None:
    for name in ("limit", "cursor", "since", "state"):
        try:
            asked(EVENTS, **{name: text})
        except BadQuery:
            continue
