"""Which labels alerts have had: those that a running daemon has stored, or those of captured notifications."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path

import click

from alertbridge.cli.caller import Caller, NoAnswer
from alertbridge.cli.hearing import captured_events, progress
from alertbridge.cli.stored import Stored
from alertbridge.config.load import Configuration
from alertbridge.errors import ConfigurationError, MalformedBody
from alertbridge.model import Event
from alertbridge.parts import bridge


@dataclass(frozen=True, slots=True)
class Seen:
    """The names of the labels of all alerts in so many `events`, of which `unread` could not be read."""

    labels: frozenset[str]
    events: int
    unread: int


def labels_stored(
    configuration: Configuration, config: Path, *, last: timedelta, url: str | None, now: datetime
) -> Seen:
    """What the running daemon has stored of the time `last` until `now`; ends the command where it cannot be asked."""
    try:
        events = Stored(Caller(config, url=url)).events()
        recent = takewhile(lambda event: event.received_at >= now - last, events)
        with progress("looking at labels", length=int(last.total_seconds())) as reach:
            return _look(
                configuration, recent, lambda _, event: reach(int((now - event.received_at).total_seconds()))
            )
    except (NoAnswer, ConfigurationError) as error:
        raise click.ClickException(str(error)) from error


def labels_captured(
    configuration: Configuration, payloads: tuple[Path, ...], *, source: str | None, now: datetime
) -> Seen:
    """What stands in captured notifications."""
    number, events = captured_events(configuration, payloads, source=source, now=now)
    with progress("looking at labels", length=number) as reach:
        return _look(configuration, events, lambda done, _: reach(done))


def _look(configuration: Configuration, events: Iterable[Event], heard: Callable[[int, Event], None]) -> Seen:
    feeds = bridge(configuration).feeds
    labels: set[str] = set()
    count = unread = 0
    for event in events:
        count += 1
        heard(count, event)
        feed = feeds.get(event.source)
        try:
            if feed is None:
                unread += 1
                continue
            said = feed.parser.parse(event.body, source=event.source, received_at=event.received_at)
        except MalformedBody:
            unread += 1
            continue
        for alert in said.alerts:
            labels.update(alert.labels)
    return Seen(frozenset(labels), count, unread)
