from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from alertbridge.metrics import Metrics
from alertbridge.model import Event
from alertbridge.receive.intake import Glance, Intake, Limits
from alertbridge.receive.refusal import Refused
from tests.support.clock import NOON, ManualClock

MIB = 2**20


@dataclass
class Door:
    """An intake that takes ten events or 1 MiB of them, and keeps 100 MiB free."""

    free: int = 1000 * MIB
    clock: ManualClock = field(default_factory=ManualClock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.intake = Intake(
            limits=Limits(events=10, bytes=MIB, min_free=100 * MIB),
            free=lambda: self.free,
            clock=self.clock,
            metrics=self.metrics,
        )

    def refusal(self) -> str:
        """What a request is answered with now; empty if it is taken."""
        try:
            self.intake.refuse_if_short()
        except Refused as refused:
            return f"{refused.status} {refused.title}"
        return ""

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"alertbridge_{name}", labels)


@pytest.fixture
def door() -> Door:
    return Door()


def event(number: int, size: int = 2) -> Event:
    return Event(f"e{number}", "prod", NOON, b"x" * size)


def test_so_many_events_may_wait_and_then_none_is_taken_until_four_fifths_are_left(door: Door) -> None:
    waiting = [event(number) for number in range(10)]
    for one in waiting[:9]:
        door.intake.expect(one)
    assert door.refusal() == ""
    door.intake.expect(waiting[9])
    assert door.refusal() == "503 Overloaded"
    door.intake.forget(waiting[:1])
    assert door.refusal() == "503 Overloaded"
    door.intake.forget(waiting[1:2])
    assert door.refusal() == ""


def test_so_many_bytes_may_wait_and_then_none_is_taken_until_four_fifths_are_left(door: Door) -> None:
    door.intake.begin({"from an earlier run": MIB // 2})
    assert door.refusal() == ""
    door.intake.expect(event(1, MIB // 2))
    assert door.refusal() == "503 Overloaded"
    assert door.gauge("inbox_bytes") == MIB
    door.intake.forget([event(1), event(2)])
    assert door.refusal() == ""
    assert door.gauge("inbox_bytes") == MIB // 2


def test_with_little_free_space_nothing_is_taken_until_a_tenth_more_is_free(door: Door) -> None:
    door.free = 100 * MIB
    assert door.refusal() == ""
    door.free -= 1
    assert door.refusal() == "503 Storage full"
    assert door.intake.short_of_disk
    door.free = 109 * MIB
    assert door.refusal() == "503 Storage full"
    door.free = 111 * MIB
    assert door.refusal() == ""
    assert not door.intake.short_of_disk


def test_what_waits_to_be_decided_needs_a_multiple_of_its_size(door: Door) -> None:
    door.free = 110 * MIB
    assert door.refusal() == ""
    door.intake.expect(event(1, MIB * 4 // 5))
    assert door.refusal() == "503 Storage full"


def test_a_disk_that_says_it_is_full_is_believed_for_a_while(door: Door) -> None:
    door.intake.full()
    assert door.refusal() == "503 Storage full"
    door.clock.advance(timedelta(seconds=5))
    assert door.refusal() == ""


def test_bodies_that_are_being_received_are_bounded_together_and_one_alone_is_not(door: Door) -> None:
    with door.intake.reading() as alone:
        alone(2 * MIB)
    with door.intake.reading() as first, door.intake.reading() as second:
        first(MIB // 2)
        second(MIB // 2)
        with pytest.raises(Refused, match="503 Overloaded"):
            second(1)
    with door.intake.reading() as first, door.intake.reading() as second:
        first(MIB // 2)
        second(MIB // 2)


def test_what_is_short_is_said_once_with_figures_and_setting_and_so_is_its_end(door: Door) -> None:
    with capture_logs() as logs:
        door.refusal()
        door.free = 50 * MIB
        door.refusal()
        door.refusal()
        assert door.gauge("refusing", reason="disk") == 1
        assert door.intake.short_of == (
            "50.0 MiB of disk are free, and 100.0 MiB are kept to finish what was accepted"
            " (storage.min_free: 100.0 MiB)"
        )
        door.free = 500 * MIB
        door.refusal()
    assert [(log["event"], log["log_level"], log["reason"]) for log in logs] == [
        ("intake.refusing", "warning", "disk"),
        ("intake.taking", "info", "disk"),
    ]
    assert door.gauge("refusing", reason="disk") == 0
    assert door.intake.short_of == ""


def test_a_measure_is_taken_anew_ten_times_a_second_and_not_more() -> None:
    clock, taken = ManualClock(), iter(range(10))
    glance = Glance(measure=lambda: next(taken), clock=clock)
    seen = []
    for _ in range(3):
        seen += [glance(), glance()]
        clock.advance(timedelta(milliseconds=100))
    assert seen == [0, 0, 1, 1, 2, 2]
