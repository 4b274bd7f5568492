from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertbridge.destinations.answers import excerpt, interpret, reference
from alertbridge.destinations.quota import retry_after
from alertbridge.model import Response

NOW = datetime(2025, 9, 22, 11, 15, 0, tzinfo=UTC)
DAY = timedelta(hours=24)


def asking(written: str) -> Response:
    return Response(429, {"retry-after": written}, b"", NOW)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", timedelta()),
        ("120", timedelta(seconds=120)),
        (" 120 ", timedelta(seconds=120)),
        ("1.5", timedelta(seconds=1.5)),
        ("-5", timedelta()),
        ("86401", DAY),
        ("9" * 90, DAY),
        ("Mon, 22 Sep 2025 11:16:00 GMT", timedelta(minutes=1)),
        ("Mon, 22 Sep 2025 13:16:00 +0200", timedelta(minutes=1)),
        ("Mon, 22 Sep 2025 11:16:00 -0000", timedelta(minutes=1)),
        ("Monday, 22-Sep-25 11:16:00 GMT", timedelta(minutes=1)),
        ("Mon Sep 22 11:16:00 2025", timedelta(minutes=1)),
        ("Mon, 22 Sep 2025 11:00:00 GMT", timedelta()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ("Fri, 31 Dec 9999 23:59:59 -2359", DAY),
        ("", None),
        ("soon", None),
        ("5 minutes", None),
        ("\u0665", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("Mon, 32 Sep 2025 11:16:00 GMT", None),
        ("Mon, 22 Sep 2025 11:16:00 +9999999999", None),
        ("Mon, 22 Sep 2025 11:16:00 +" + "9" * 50, None),
        ("9" * 200, None),
    ],
)
def test_a_wait_is_read_as_seconds_or_as_a_date_and_bounded(written: str, expected: timedelta | None) -> None:
    assert retry_after(asking(written)) == expected


def test_no_wait_is_read_where_none_is_asked_for() -> None:
    assert retry_after(Response(429, {}, b"", NOW)) is None


@given(
    st.one_of(
        st.text(), st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d+:\d+:\d+ [+\-A-Z0-9]*")
    )
)
def test_no_wait_is_ever_negative_or_longer_than_a_day(written: str) -> None:
    wait = retry_after(asking(written))
    assert wait is None or timedelta() <= wait <= DAY


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ""),
        (b"OK", ""),
        (b"null", ""),
        (b"[]", ""),
        (b'"incident_id"', ""),
        (b'{"incident_id": "a-1"}', "a-1"),
        (b'{"incident_id": "a-1",}', "a-1"),
        (b'{"message": "Success",\n"incident_id" : 17,\n}', "17"),
        (b'{"incident_id": -17}', "-17"),
        (
            b'{"incident_id": 170141183460469231731687303715884105727}',
            "170141183460469231731687303715884105727",
        ),
        (b'{"incident_id": null}', ""),
        (b'{"incident_id": null,}', ""),
        (b'{"incident_id": true}', ""),
        (b'{"incident_id": {"a": 1}}', ""),
        (b'{"request": {"incident_id": "ours"}, "incident_id": "theirs"}', "theirs"),
        (b'{"echo": "{\\"incident_id\\": \\"x\\"}",}', ""),
        ('{"incident_id": "é\\n1"}'.encode(), "é1"),
        (b'\xff\xfe{"incident_id": "a-1"}', "a-1"),
        (b'{"incident_id": "' + b"a" * 300 + b'"}', "a" * 255),
        (b'{"incident_id": "a-1", "more": "' + b"x" * 100_000 + b'"}', "a-1"),
        (b"[" * 16_000, ""),
    ],
)
def test_the_id_is_read_from_whatever_resembles_the_documented_answer(body: bytes, expected: str) -> None:
    assert reference(body) == expected


@given(st.integers(0, 999), st.binary(), st.text())
@example(200, b'{"incident_id": ' + b"9" * 5_000 + b"}", "")
def test_no_answer_is_too_strange_to_be_interpreted(status: int, body: bytes, header: str) -> None:
    interpret(Response(status, {"retry-after": header, "location": header}, body, NOW), secrets=("s3cret",))


@given(st.text())
def test_an_excerpt_is_one_short_printable_line(text: str) -> None:
    shown = excerpt(text.encode("utf-8", "replace"))
    assert len(shown) <= 200
    assert shown.isprintable()


def test_a_long_body_is_marked_as_cut() -> None:
    assert excerpt(b"x" * 201) == "x" * 199 + "…"
    assert excerpt(b"x" * 200) == "x" * 200


def test_a_secret_is_hidden_before_the_body_is_cut_through_it() -> None:
    assert (
        excerpt(b"x" * 190 + b" s3cret-s3cret", secrets=("s3cret-s3cret", "s3cret", "")) == "x" * 190 + " ***"
    )
