"""`alertbridge deliveries retry | discard | export`: one delivery by its id, or all that the filters of the listing name."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from alertbridge.cli.amend import act
from alertbridge.cli.listing import filtered
from alertbridge.cli.options import daemon_options
from alertbridge.cli.records import DELIVERIES
from alertbridge.cli.table import cut, table
from alertbridge.cli.taught import Taught
from alertbridge.model import DeliveryState

_yes = click.option(
    "--yes", is_flag=True, help="Do it. Without this, what matches is shown and nothing is done."
)
_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
_SHOWN_REFUSALS = 10
_RETRIED = (DeliveryState.DEAD, DeliveryState.PENDING)
_GIVEN_UP = (DeliveryState.DEAD, DeliveryState.PENDING, DeliveryState.HELD)


@filtered(DELIVERIES)
@click.command(
    cls=Taught,
    examples=(
        "alertbridge deliveries retry 01M805Q3CSB5XQVP2H5WNNASXY",
        "alertbridge deliveries retry --state dead --destination elven --since 2h          shows what matches",
        "alertbridge deliveries retry --state dead --destination elven --since 2h --yes    sends it again",
    ),
)
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--force", is_flag=True, help="Also where something newer was delivered on its key.")
@_yes
@daemon_options
@_json
def retry(
    identifier: str | None,
    config: Path,
    url: str | None,
    *,
    force: bool,
    yes: bool,
    as_json: bool,
    **filters: str | None,
) -> None:
    """Send what is dead again, or what waits for another try at once.

    One delivery by its ID, or with filters all that match, oldest first. A message on whose key something newer was
    delivered is refused, unless --force: it would undo that. The alarm of an incident that is over is followed by its
    resolved, so that nothing stays open.
    """
    body = {"force": force}
    if identifier is not None:
        _one(identifier, filters)
        act(config, url, f"deliveries/{identifier}/retry", body, as_json=as_json)
        return
    _many(config, url, "retry", _meant(filters, _RETRIED), body, yes=yes, as_json=as_json)


@filtered(DELIVERIES)
@click.command(
    cls=Taught,
    examples=(
        'alertbridge deliveries discard 01M805Q3CSB5XQVP2H5WNNASXY --reason "closed by hand in Elven"',
        "alertbridge deliveries discard --state dead --key eu/DiskFull          shows what matches",
        'alertbridge deliveries discard --state held --since 7d --reason "a drill" --yes',
    ),
)
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--reason", help="Why; it is kept and shown. Needed, but to look at what matches.")
@_yes
@daemon_options
@_json
def discard(
    identifier: str | None,
    reason: str | None,
    config: Path,
    url: str | None,
    *,
    yes: bool,
    as_json: bool,
    **filters: str | None,
) -> None:
    """Give up what is held, pending or dead.

    One delivery by its ID, or with filters all that match.
    """
    if reason is None and (yes or identifier is not None):
        raise click.UsageError("say why: --reason")
    body = {"reason": reason} if reason is not None else {}
    if identifier is not None:
        _one(identifier, filters)
        act(config, url, f"deliveries/{identifier}/discard", body, as_json=as_json)
        return
    _many(config, url, "discard", _meant(filters, _GIVEN_UP), body, yes=yes, as_json=as_json)


@filtered(DELIVERIES)
@click.command(
    cls=Taught,
    examples=(
        "alertbridge deliveries export --state dead --output dead.jsonl",
        "alertbridge deliveries export --since 24h | jq -r .last_error | sort | uniq -c",
    ),
)
@click.option(
    "--output",
    metavar="FILE",
    default="-",
    help="Where to; it is there whole, or as it was. Default: standard output.",
)
@daemon_options
def export(output: str, config: Path, url: str | None, **filters: str | None) -> None:
    """Write all that match, one JSON object on each line, the newest first.

    They are asked for page by page: there may be more of them than fit into memory.
    """
    from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick

    items = Caller(config, url=url).items("/api/v1/deliveries", most=None, **_said(filters))
    number = 0
    try:
        with click.open_file(output, "w", encoding="utf-8", atomic=output != "-") as stream:
            for item in items:
                stream.write(json.dumps(item, ensure_ascii=False) + "\n")
                number += 1
    except BrokenPipeError:
        sys.stderr.close()  # whoever read it has enough
        return
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror or error}") from error
    if output != "-":
        click.echo(f"{output}: {number} deliveries", err=True)


def _said(filters: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in filters.items() if value is not None}


def _one(identifier: str, filters: Mapping[str, str | None]) -> None:
    """Raises UsageError where an id does not stand alone."""
    if not identifier.strip():
        raise click.BadParameter("an empty text names nothing", param_hint="ID")
    if _said(filters):
        raise click.UsageError("say an ID or filters, not both")


def _meant(filters: Mapping[str, str | None], states: Collection[DeliveryState]) -> dict[str, str]:
    """The filters; what is dead is meant unless a state is said. Raises UsageError where none is said."""
    if not _said(filters):
        raise click.UsageError("say the ID of a delivery, or filters such as --state dead")
    said = {"state": DeliveryState.DEAD.value, **_said(filters)}
    if said["state"] not in states:
        allowed = ", ".join(state.value for state in states)
        raise click.BadParameter(
            f"what is {said['state']} cannot be meant; say {allowed}", param_hint="--state"
        )
    return said


def _many(
    config: Path,
    url: str | None,
    action: str,
    filters: Mapping[str, str],
    body: Mapping[str, Any],
    *,
    yes: bool,
    as_json: bool,
) -> None:
    from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick

    caller, path = Caller(config, url=url), f"/api/v1/deliveries/{action}"
    seen = caller.act(path, {**filters, **body, "dry_run": True})
    if not yes:
        click.echo(json.dumps(seen, indent=2) if as_json else "\n".join(_preview(seen, action)))
        return
    left: dict[str, Any] = {}
    for left in caller.lines(path, {**filters, **body, "count": seen["matched"]}):
        if "complete" not in left:
            click.echo(f"{left['done'] + left['refused']} of {left['matched']}", err=True)
    if as_json:
        click.echo(json.dumps(left, indent=2))
    else:
        click.echo("\n".join(_came_to(left, action)))
    if left["refused"]:
        raise click.exceptions.Exit(1)


def _preview(seen: Mapping[str, Any], action: str) -> Iterator[str]:
    if not seen["matched"]:
        yield "none matches"
        return
    head = ("NUMBER", "DESTINATION", "ACTION", "STATE", "WHY")
    names = ("count", "destination", "action", "state", "reason")
    yield table(head, [[str(group[name]) for name in names] for group in seen["groups"]])
    yield ""
    yield "the oldest:"
    for item in seen["examples"]:
        why = cut(item["last_error"] or "", 100)
        yield f"  {item['id']}  {item['created_at'][:19]}Z  {item['action']} {cut(item['key'])}: {why}"
    yield ""
    yield f"{seen['matched']} match; nothing was done. With --yes they are {_DEEDS[action]}"


def _came_to(left: Mapping[str, Any], action: str) -> Iterator[str]:
    yield f"{left['done']} of {left['matched']} {_DEEDS[action]}"
    if "resolved" in left:
        yield f"alarms of incidents that are over, each followed by its resolved: {left['resolved']}"
    if "left_open" in left:
        yield f"told to be open, and nothing closes it now: {left['left_open']}; close it at the destination"
    for reason, number in left["reasons"].items():
        yield f"{number} refused: {reason}"
    for one in left["refusals"][:_SHOWN_REFUSALS]:
        yield f"  {one['delivery']}"
    if left["refused"] > _SHOWN_REFUSALS:
        yield f"  and {left['refused'] - _SHOWN_REFUSALS} more"


_DEEDS = {"retry": "sent again", "discard": "given up"}
