"""`alertbridge check`."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alertbridge.cli import report
from alertbridge.cli.hearing import interruptible, last_option, payloads_option, source_option
from alertbridge.cli.options import daemon_options, load_configuration
from alertbridge.cli.taught import Taught
from alertbridge.clock import SystemClock
from alertbridge.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from alertbridge.cli.labels_seen import Seen
    from alertbridge.config.load import Configuration


@click.command(
    cls=Taught,
    examples=(
        "alertbridge check",
        "alertbridge check --config new.yaml --strict",
        "alertbridge check --last 7d",
    ),
)
@daemon_options
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, for programs, or as annotations in a GitHub workflow.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@last_option(
    "Warn also of labels that no alert has had in this time until now, such as 7d: the running daemon tells."
)
@payloads_option("The same without a daemon: a captured notification, or a folder of them (*.json).")
@source_option
def check(
    config: Path,
    form: str,
    last: timedelta | None,
    payloads: tuple[Path, ...],
    source: str | None,
    url: str | None,
    *,
    strict: bool,
    as_json: bool,
) -> None:
    """Find every mistake in the configuration and its rule files.

    Each is shown with file, line and column, the setting, what is wrong and what to do about it. Secret files are
    read, nothing is sent anywhere. The exit status is 1 if there is a mistake, with --strict also for a warning.

    With --last or --payloads there is a warning too wherever a rule speaks of a label that no alert has had and no rule sets.
    """
    _check_usage(last, payloads, source, url)
    try:
        configuration = load_configuration(config)
    except ConfigurationError as error:
        _show(error.problems, None, config=config, form="json" if as_json else form)
        raise click.exceptions.Exit(1) from error
    seen = _labels(configuration, config, last=last, payloads=payloads, source=source, url=url)
    warnings = (*configuration.warnings, *_unseen(config, seen))
    _show(warnings, configuration, config=config, form="json" if as_json else form, seen=seen)
    if strict and warnings:
        raise click.exceptions.Exit(1)


def _check_usage(
    last: timedelta | None, payloads: tuple[Path, ...], source: str | None, url: str | None
) -> None:
    if last is not None and payloads:
        raise click.UsageError("--payloads are read instead of asking a daemon: leave out --last")
    if source is not None and not payloads:
        raise click.UsageError("--source says where --payloads come from")
    if url is not None and last is None:
        raise click.UsageError("--url says where the daemon is that --last asks")


def _labels(
    configuration: Configuration,
    config: Path,
    *,
    last: timedelta | None,
    payloads: tuple[Path, ...],
    source: str | None,
    url: str | None,
) -> Seen | None:
    """The labels that alerts have had; None where that was not asked for."""
    if last is None and not payloads:
        return None
    from alertbridge.cli import labels_seen  # noqa: PLC0415 - heavy, and `--help` is to be quick

    now = SystemClock().now()
    with interruptible():
        if last is None:
            return labels_seen.labels_captured(configuration, payloads, source=source, now=now)
        return labels_seen.labels_stored(configuration, config, last=last, url=url, now=now)


def _unseen(config: Path, seen: Seen | None) -> tuple[Problem, ...]:
    """A warning for every label that no alert has had; none where there was no alert."""
    from alertbridge.config.load import documents  # noqa: PLC0415 - see above
    from alertbridge.config.unseen import find_unseen  # noqa: PLC0415 - see above

    if seen is None:
        return ()
    if not seen.labels:
        click.echo("no alert was found: nothing can be said of labels", err=True)
        return ()
    among = _number(seen.events - seen.unread, "notification")
    return tuple(find_unseen(documents(config, environ=os.environ), seen=seen.labels, among=among))


def _show(
    problems: tuple[Problem, ...],
    configuration: Configuration | None,
    *,
    config: Path,
    form: str,
    seen: Seen | None = None,
) -> None:
    counts = _counts(configuration) if configuration else {}
    if counts and seen is not None:
        counts["seen"] = {"events": seen.events, "unread": seen.unread, "labels": sorted(seen.labels)}
    if form == "json":
        click.echo(json.dumps({"ok": bool(counts), "problems": report.json(problems), **counts}, indent=2))
    elif form == "github":
        if problems:
            click.echo(report.github(problems))
    else:
        if problems:
            click.echo(report.text(problems, main=config))
        click.echo(_summary(config, counts, problems))


def _counts(configuration: Configuration) -> dict[str, Any]:
    settings = configuration.settings
    return {
        "sources": len(settings.sources),
        "destinations": len(settings.destinations),
        "rules": len(settings.rules),
        "files": [str(path) for path in configuration.files],
        "hash": configuration.hash,
    }


def _summary(config: Path, counts: dict[str, Any], problems: tuple[Problem, ...]) -> str:
    if not counts:
        return click.style(_number(len(problems), "mistake"), fg="red", bold=True)
    parts = [_number(counts[f"{word}s"], word) for word in ("source", "destination", "rule")]
    parts += [_number(len(counts["files"]), "file"), f"hash {counts['hash'][:12]}"]
    if "seen" in counts:
        seen, unread = counts["seen"], counts["seen"]["unread"]
        unreadable = f" ({unread:,} of them cannot be read)" if unread else ""
        parts.append(f"labels of {_number(seen['events'], 'notification')}{unreadable}")
    if problems:
        parts.append(_number(len(problems), "warning"))
    return f"{config}: {click.style('good', fg='green')}: {', '.join(parts)}"


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
