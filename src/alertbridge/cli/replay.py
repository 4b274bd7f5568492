"""`alertbridge replay`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from alertbridge.cli.hearing import interruptible
from alertbridge.cli.options import daemon_options
from alertbridge.cli.printable import printable
from alertbridge.cli.since import Since
from alertbridge.cli.table import second
from alertbridge.cli.taught import Taught

_BECAME = ("decided", "failed", "malformed", "dropped", "unmatched")


@click.command(
    cls=Taught,
    examples=(
        "alertbridge replay --since 2h --outcome dropped --dry-run     what a mended rule would tell",
        "alertbridge replay --since 2h --outcome dropped --yes         tells it",
        "alertbridge replay --since 3d --outcome failed --source prod --yes",
    ),
)
@click.option("--since", type=Since(), required=True, help="Received from then on: 2h, 3d, or an instant.")
@click.option(
    "--until", type=Since(), help="And until then. What was heard later of the same alerts goes along."
)
@click.option("--source", metavar="NAME", help="Only from this source.")
@click.option(
    "--outcome",
    type=click.Choice(_BECAME),
    help="Only where this became of the event, or of one of its alerts. Without it, all but what is malformed.",
)
@click.option("--dry-run", is_flag=True, help="Tell event by event what would change; nothing is done.")
@click.option("--yes", is_flag=True, help="Do it. Without this, it is only counted what would change.")
@daemon_options
@click.option("--json", "as_json", is_flag=True, help="For programs: a JSON object on each line.")
def replay(
    since: str,
    until: str | None,
    source: str | None,
    outcome: str | None,
    config: Path,
    url: str | None,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Decide stored events once more, by the rules of today.

    For when a rule has dropped what it should not have, when events have failed, or when a destination has come to the
    rules too late. They are decided in the order in which they were received. Whatever was heard or told since prevails:
    what was told is not told again, and what has resolved does not stay open. So to replay twice is to replay once.
    """
    if dry_run and yes:
        raise click.UsageError("say --dry-run or --yes, not both")
    span = {"since": since, "until": until, "source": source, "outcome": outcome}
    asked = {name: value for name, value in span.items() if value is not None}
    with interruptible():
        from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick

        for told in Caller(config, url=url).lines("/api/v1/replay", {**asked, "dry_run": not yes}):
            _show(told, dry_run=dry_run, yes=yes, as_json=as_json)


def _show(told: Mapping[str, Any], *, dry_run: bool, yes: bool, as_json: bool) -> None:
    if "event" in told and not dry_run:
        return
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    elif "event" in told:
        click.echo("\n".join(_change(told)))
    elif "complete" in told:
        click.echo("\n".join(_came_to(told, yes=yes)))
    else:
        click.echo(f"{told['looked_at']} looked at, {told['replayed']} put back", err=True)


def _change(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"event {told['event']} of {told['source']}, received {second(told['received_at'])}"
    for alert in told["alerts"]:
        effects = [f"{one['effect']} at {one['destination']} ({one['key']})" for one in alert["effects"]]
        by = f", by {', '.join(alert['rules'])}" if alert["rules"] else ""
        became = ", ".join(effects) or alert["note"]
        yield printable(f"  {alert['fingerprint']} {alert['status']}: {became}{by}")
    for message in told["messages"]:
        yield printable(f"  to say: {message['destination']} {message['action']} {message['key']}")


def _came_to(told: Mapping[str, Any], *, yes: bool) -> Iterator[str]:
    if yes:
        yield f"{told['replayed']} of {told['looked_at']} events are decided once more; `alertbridge events` tells what became of them"
    else:
        yield (
            f"{told['replayed']} of {told['looked_at']} events would be decided once more; {told['changing']} would change "
            f"something, messages to say: {told['messages']}. Nothing was done: --dry-run tells more, --yes does it"
        )
    for reason, number in told["passed_over"].items():
        yield f"{number} passed over: {reason}"
