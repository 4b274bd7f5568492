"""Later steps of a test may leave out what stays the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alertbridge.cli.trial.cast import Cast
from alertbridge.cli.trial.run import BEGIN
from alertbridge.config.trial_settings import TrialAlert
from alertbridge.errors import AlertbridgeError
from alertbridge.model import Alert

MINUTE = timedelta(minutes=1)
LABELS = {"alertname": "Down", "instance": "a"}


class Scene:
    """A cast, with the clock at a number of minutes."""

    def __init__(self) -> None:
        self.cast = Cast(start=BEGIN, source="prod")

    def say(self, minute: int, source: str | None = None, **written: Any) -> Alert:
        alert = self.cast.say(TrialAlert.model_validate(written), now=BEGIN + minute * MINUTE, source=source)
        self.cast.remember([alert])
        return alert


def test_an_alert_said_again_keeps_labels_annotations_and_start() -> None:
    scene = Scene()
    first = scene.say(0, labels=LABELS, annotations={"summary": "down"}, source="dr")

    assert scene.say(5) == first
    assert scene.say(6, labels=LABELS, source="dr") == first
    ended = scene.say(7, status="resolved")
    assert (ended.id, ended.starts_at, ended.ends_at) == (first.id, BEGIN, BEGIN + 7 * MINUTE)
    assert scene.say(8, annotations={}).annotations == {}


def test_an_alert_that_had_ended_begins_anew() -> None:
    scene = Scene()
    scene.say(0, labels=LABELS)
    scene.say(5, status="resolved")

    assert scene.say(6).starts_at == BEGIN + 6 * MINUTE


def test_all_that_fires_is_resolved_and_all_that_had_ended_fires_anew() -> None:
    scene = Scene()
    scene.say(0, labels=LABELS)
    scene.say(1, labels={**LABELS, "instance": "b"})
    scene.say(2, status="resolved")

    (ended,) = scene.cast.resolved(BEGIN + 3 * MINUTE)
    assert (ended.labels["instance"], ended.firing, ended.ends_at) == ("a", False, BEGIN + 3 * MINUTE)
    assert [alert.starts_at for alert in scene.cast.firing(BEGIN + 4 * MINUTE)] == [BEGIN, BEGIN + 4 * MINUTE]


def test_instants_are_since_the_start_and_never_after_now() -> None:
    scene = Scene()
    alert = scene.say(10, labels=LABELS, status="resolved", starts_at="-1h", ends_at="5m")
    assert (alert.starts_at, alert.ends_at) == (BEGIN - 60 * MINUTE, BEGIN + 5 * MINUTE)
    later = scene.say(10, labels=LABELS, status="resolved", starts_at="15m", ends_at="2026-01-01T00:01:00Z")
    assert (later.starts_at, later.ends_at) == (BEGIN + 10 * MINUTE, BEGIN + 10 * MINUTE)


def test_labels_cannot_be_left_out_before_any_alert() -> None:
    with pytest.raises(AlertbridgeError, match="none was heard before"):
        Scene().say(0, source=None)
