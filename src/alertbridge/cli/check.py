"""`alertbridge check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alertbridge.cli import report
from alertbridge.cli.options import config_option, load_configuration
from alertbridge.cli.taught import Taught
from alertbridge.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from alertbridge.config.load import Configuration


@click.command(
    cls=Taught,
    examples=(
        "alertbridge check",
        "alertbridge check --config new.yaml --strict",
    ),
)
@config_option
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
def check(config: Path, form: str, *, strict: bool, as_json: bool) -> None:
    """Find every mistake in the configuration and its rule files.

    Each is shown with file, line and column, the setting, what is wrong and what to do about it. Secret files are
    read, nothing is sent anywhere. The exit status is 1 if there is a mistake, with --strict also for a warning.
    """
    try:
        configuration = load_configuration(config)
    except ConfigurationError as error:
        _show(error.problems, None, config=config, form="json" if as_json else form)
        raise click.exceptions.Exit(1) from error
    _show(configuration.warnings, configuration, config=config, form="json" if as_json else form)
    if strict and configuration.warnings:
        raise click.exceptions.Exit(1)


def _show(
    problems: tuple[Problem, ...], configuration: Configuration | None, *, config: Path, form: str
) -> None:

    counts = _counts(configuration) if configuration else {}
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
    if problems:
        parts.append(_number(len(problems), "warning"))
    return f"{config}: {click.style('good', fg='green')}: {', '.join(parts)}"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
