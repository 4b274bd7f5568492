"""Captured notifications in files, in the place of a daemon's stored events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from alertbridge.errors import MalformedBody
from alertbridge.model import Event
from alertbridge.sources import Source

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def payload_files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, and every `*.json` in the folders among them, in the order of their names."""
    return [
        file
        for path in paths
        for file in (sorted(path.rglob("*.json")) if path.is_dir() else [path])
        if file.is_file()
    ]


def captured(files: Iterable[Path], *, parser: Source, source: str, now: datetime) -> Iterator[Event]:
    """Each file as an event of `source`, as fresh as it was: received at the latest instant that it names."""
    for file in files:
        try:
            body = file.read_bytes()
        except OSError as error:
            raise click.ClickException(f"{file}: {error.strerror}; name a file that can be read") from error
        yield Event(str(file), source, _newest(parser, body, source, now), body)


def _newest(parser: Source, body: bytes, source: str, now: datetime) -> datetime:
    try:
        alerts = parser.parse(body, source=source, received_at=_NEVER).alerts
    except MalformedBody:
        return now
    instants = [moment for alert in alerts for moment in (alert.starts_at, alert.ends_at) if moment]
    return max((moment for moment in instants if moment < _NEVER), default=now)
