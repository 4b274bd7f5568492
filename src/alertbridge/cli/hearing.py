"""Options of commands that look at what was heard: by a running daemon, or in captured notifications."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from alertbridge.cli.since import Since
from alertbridge.model import Event

if TYPE_CHECKING:
    from alertbridge.config.load import Configuration

_Command = TypeVar("_Command", bound=Callable[..., Any])
_INTERRUPTED: Final = 130  # what a shell says of a command that Ctrl-C ended


def _span(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    from alertbridge.config.units import read_duration  # noqa: PLC0415 - heavy, and `--help` is to be quick

    if value is None:
        return None
    try:
        span = read_duration(value)
    except ValueError as error:
        raise click.BadParameter("write for example 30m, 24h or 7d") from error
    if not span:
        raise click.BadParameter("that is no time at all; write for example 30m, 24h or 7d")
    return span


def last_option(told: str) -> Callable[[_Command], _Command]:
    """The parameter `last`, a span of time; `told` is its help."""
    return click.option("--last", metavar="SPAN", callback=_span, help=told)


def payloads_option(told: str) -> Callable[[_Command], _Command]:
    """The parameter `payloads`, files and folders of captured notifications; `told` is its help."""
    kind = click.Path(exists=True, path_type=Path)
    return click.option("--payloads", metavar="PATH", multiple=True, type=kind, help=told)


since_option = click.option("--since", type=Since(), help="Only what was received from then on.")
source_option = click.option(
    "--source", metavar="NAME", help="The source that --payloads come from; needed where there are several."
)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C within ends the command without a verdict."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\ninterrupted: nothing is concluded", err=True)
        raise click.exceptions.Exit(_INTERRUPTED) from None


def captured_events(
    configuration: Configuration, payloads: tuple[Path, ...], *, source: str | None, now: datetime
) -> tuple[int, Iterator[Event]]:
    """How many files `payloads` are, and what they hold; a source or a file that is not there is wrong usage."""
    from alertbridge.cli.captured import captured, payload_files  # noqa: PLC0415 - `--help` is to be quick
    from alertbridge.parts import bridge  # noqa: PLC0415 - see above

    feeds = bridge(configuration).feeds
    if source is None and len(feeds) != 1:
        raise click.UsageError("say which source the payloads come from: --source NAME")
    name = source or next(iter(feeds))
    if name not in feeds:
        raise click.BadParameter(f'no source is called "{name}"', param_hint="--source")
    files = payload_files(payloads)
    if not files:
        raise click.BadParameter("no *.json file is there", param_hint="--payloads")
    return len(files), captured(files, parser=feeds[name].parser, source=name, now=now)


@contextmanager
def progress(label: str, *, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal; call what is given with how far it has come, from 0 to `length`."""
    with click.progressbar(
        range(max(1, length)), label=label, file=sys.stderr, hidden=not sys.stderr.isatty(), show_eta=False
    ) as bar:

        def reach(position: int) -> None:
            step = min(position, length) - bar.pos
            if step > 0:
                bar.update(step)

        yield reach
        reach(length)
