from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alertbridge.identifiers import Ulids
from tests.support.clock import ManualClock

# The example of the ULID specification.
SPECIFIED = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1469918176385)
SPECIFIED_TIME = "01ARYZ6S41"

_TO_PYTHON = str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789abcdefghijklmnopqrstuv")


def number(identifier: str) -> int:
    return int(identifier.translate(_TO_PYTHON), 32)


def test_an_id_begins_with_the_time_as_the_specification_writes_it() -> None:
    identifier = Ulids(clock=ManualClock(SPECIFIED))()
    assert len(identifier) == 26
    assert identifier.startswith(SPECIFIED_TIME)


@given(st.binary(min_size=10, max_size=10))
def test_what_was_drawn_stands_in_the_id_but_for_its_highest_bit(drawn: bytes) -> None:
    identifier = Ulids(clock=ManualClock(SPECIFIED), entropy=lambda _: drawn)()
    assert number(identifier) == 1469918176385 << 80 | int.from_bytes(drawn) >> 1


@given(st.lists(st.integers(-5, 5), max_size=30))
def test_ids_ascend_whatever_the_clock_does(steps: list[int]) -> None:
    clock = ManualClock(SPECIFIED)
    new_id = Ulids(clock=clock)
    made = [new_id()]
    for step in steps:
        clock.move_to(clock.now() + timedelta(milliseconds=step))
        made.append(new_id())
    assert made == sorted(set(made))
