from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from alertbridge.simulate.exchange import Arrival, Content
from alertbridge.simulate.ledger import Ledger

AT = datetime(2025, 9, 22, 10, 30, tzinfo=UTC)


def arrival(raw: bytes = b"{}", headers: Mapping[str, str] | None = None) -> Arrival:
    return Arrival("POST", "", {}, CIMultiDict(headers or {}), "application/json", Content.of(raw))


def arrive(ledger: Ledger, destination: str = "elven", key: str | None = None) -> int:
    return ledger.arrive(arrival(), destination=destination, key=key, at=AT)


def settle(ledger: Ledger, seq: int, status: int | None) -> None:
    ledger.settle(seq, status=status, taken=status == 200, problem=None, note=None, behaviour=None)


def test_a_request_is_listed_before_it_is_answered() -> None:
    ledger = Ledger(keep=10)
    seq = arrive(ledger)
    (before,) = ledger.items()
    settle(ledger, seq, 200)
    (after,) = ledger.items()
    assert (before.status, before.taken) == (None, False)
    assert (after.status, after.taken, after.seq) == (200, True, 1)


def test_requests_keep_the_order_of_arrival_whatever_the_order_of_answers() -> None:
    ledger = Ledger(keep=10)
    first, second = arrive(ledger), arrive(ledger)
    settle(ledger, second, 500)
    settle(ledger, first, 200)
    assert [(item.seq, item.status) for item in ledger.items()] == [(1, 200), (2, 500)]


def test_only_the_last_are_kept() -> None:
    ledger = Ledger(keep=2)
    first = arrive(ledger)
    arrive(ledger)
    arrive(ledger)
    settle(ledger, first, 200)
    assert [item.seq for item in ledger.items()] == [2, 3]


def test_what_is_forgotten_stays_so_and_numbers_go_on() -> None:
    ledger = Ledger(keep=2)
    seq = arrive(ledger)
    ledger.forget()
    settle(ledger, seq, 200)
    assert ledger.items() == []
    assert arrive(ledger) == 2


def test_every_filter_given_must_fit() -> None:
    ledger = Ledger(keep=10)
    settle(ledger, arrive(ledger, "elven", "a"), 200)
    settle(ledger, arrive(ledger, "elven", "b"), 400)
    settle(ledger, arrive(ledger, "hivel", "a"), 200)
    assert [item.seq for item in ledger.items()] == [1, 2, 3]
    assert [item.seq for item in ledger.items(destination="elven")] == [1, 2]
    assert [item.seq for item in ledger.items(status=200)] == [1, 3]
    assert [item.seq for item in ledger.items(key="a", destination="hivel")] == [3]
    assert ledger.items(status=401) == []


@pytest.mark.parametrize("name", ["Authorization", "X-API-Token", "x-api-token", "Referer", "Cookie"])
def test_a_header_that_may_hold_a_token_is_masked(name: str) -> None:
    ledger = Ledger(keep=10)
    request = arrival(headers={name: "s3cret", "User-Agent": "a/1"})
    ledger.arrive(request, destination="hivel", key=None, at=AT)
    (item,) = ledger.items()
    assert item.headers == {name: "***", "User-Agent": "a/1"}


def test_the_raw_body_is_bounded_and_readable_whatever_it_is() -> None:
    ledger = Ledger(keep=10)
    ledger.arrive(arrival(b"\xff" + b"a" * 100_000), destination="elven", key=None, at=AT)
    (item,) = ledger.items()
    assert (item.raw[:2], len(item.raw), item.body) == ("\N{REPLACEMENT CHARACTER}a", 65_536, None)
