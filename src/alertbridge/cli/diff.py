"""`alertbridge diff`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from alertbridge.cli import report
from alertbridge.cli.hearing import (
    captured_events,
    interruptible,
    last_option,
    payloads_option,
    progress,
    since_option,
    source_option,
)
from alertbridge.cli.options import daemon_options, load_configuration
from alertbridge.cli.taught import Taught
from alertbridge.clock import SystemClock
from alertbridge.errors import ConfigurationError
from alertbridge.model import Event

if TYPE_CHECKING:
    from alertbridge.cli.comparison.compare import Pair
    from alertbridge.cli.comparison.result import Comparison
    from alertbridge.config.load import Configuration


@click.command(
    cls=Taught,
    examples=(
        "alertbridge diff new/alertbridge.yaml",
        "alertbridge diff new/alertbridge.yaml --last 24h --json",
        "alertbridge diff new/alertbridge.yaml --config alertbridge.yaml --payloads tests/payloads",
    ),
)
@click.argument("new", type=click.Path(path_type=Path))
@daemon_options
@last_option("Only what was received in this time until now, such as 24h or 7d.")
@since_option
@payloads_option(
    "Instead of a daemon: a captured notification, or a folder of them (*.json). May be given more than once."
)
@source_option
@click.option("--allow-stranded", is_flag=True, help="Exit with 0 even if something would be stranded.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def diff(
    new: Path,
    config: Path,
    last: timedelta | None,
    since: str | None,
    payloads: tuple[Path, ...],
    source: str | None,
    url: str | None,
    *,
    allow_stranded: bool,
    as_json: bool,
) -> None:
    """Show what another configuration would change.

    NEW is its main file. Every event that the running daemon has stored goes through the rules of --config and through those of NEW; what they make differently of its alerts is counted and shown, each alert once. So is every open incident that NEW would strand or re-key. Nothing is sent, nothing is stored, nothing is reloaded.

    Without --last or --since, as far back as events are kept. The exit status is 1 if an open incident, or work that waits, would be left to nobody, and if NEW does not load.
    """
    if last is not None and since is not None:
        raise click.UsageError("give --last or --since, not both")
    if payloads and (last or since or url):
        raise click.UsageError(
            "--payloads are read instead of asking a daemon: leave out --last, --since and --url"
        )
    if source is not None and not payloads:
        raise click.UsageError("--source says where --payloads come from")
    current, candidate = (_load(path, as_json=as_json) for path in (config, new))
    now = SystemClock().now()
    begin = now - last if last else datetime.fromisoformat(since) if since else None
    with interruptible():
        from alertbridge.cli.comparison.compare import Pair  # noqa: PLC0415 - heavy, and `--help` is to be quick

        pair = Pair(current=current, new=candidate, files=(config, new))
        if payloads:
            found = _on_captured(pair, current, payloads, source=source, now=now)
        else:
            found = _on_stored(pair, current, config, url=url, since=begin, now=now)
    good = allow_stranded or not found.strands
    _show(found, (current, candidate), good=good, as_json=as_json)
    if not good:
        raise click.exceptions.Exit(1)


def _load(path: Path, *, as_json: bool) -> Configuration:
    try:
        return load_configuration(path)
    except ConfigurationError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "problems": report.json(error.problems)}, indent=2))
        else:
            click.echo(report.text(error.problems, main=path), err=True)
        raise click.exceptions.Exit(1) from error


def _on_stored(
    pair: Pair,
    current: Configuration,
    config: Path,
    *,
    url: str | None,
    since: datetime | None,
    now: datetime,
) -> Comparison:
    from alertbridge.cli.caller import Caller, NoAnswer  # noqa: PLC0415 - heavy, and `--help` is to be quick
    from alertbridge.cli.stored import Stored  # noqa: PLC0415 - see above

    begin = since or now - current.settings.storage.retention.events
    seconds = int((now - begin).total_seconds())
    try:
        with progress("comparing", length=seconds) as reach:

            def heard(event: Event) -> None:
                reach(int((now - event.received_at).total_seconds()))

            return pair.on_stored(Stored(Caller(config, url=url)), since=since, heard=heard)
    except (NoAnswer, ConfigurationError) as error:
        raise click.ClickException(str(error)) from error


def _on_captured(
    pair: Pair, current: Configuration, payloads: tuple[Path, ...], *, source: str | None, now: datetime
) -> Comparison:
    number, events = captured_events(current, payloads, source=source, now=now)
    done = 0
    with progress("comparing", length=number) as reach:

        def heard(_event: Event) -> None:
            nonlocal done
            done += 1
            reach(done)

        return pair.on_captured(events, heard=heard)


def _show(found: Comparison, both: tuple[Configuration, ...], *, good: bool, as_json: bool) -> None:
    from alertbridge.cli.comparison.document import as_json as document  # noqa: PLC0415 - see above
    from alertbridge.cli.comparison.report import as_text  # noqa: PLC0415 - see above
    from alertbridge.config.secrets import Redactor  # noqa: PLC0415 - see above

    clean = Redactor(tuple(secret for one in both for secret in one.secrets)).clean
    if as_json:
        click.echo(clean(json.dumps(document(found, good=good), indent=2, ensure_ascii=False, default=dict)))
    else:
        click.echo(clean(as_text(found)))
