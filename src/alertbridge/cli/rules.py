"""`alertbridge rules`: the sets of rules that the daemon has worked with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from alertbridge.cli.listing import ListingGroup
from alertbridge.cli.options import config_option, url_option
from alertbridge.cli.table import second
from alertbridge.cli.taught import Taught

_SHORT = 12  # characters of a hash, as the other commands show it


def _beginning(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch("[0-9A-Fa-f]{1,64}", value):
        raise click.BadParameter(
            "a hash is of the digits 0 to 9 and a to f; `alertbridge rules history` lists them"
        )
    return value.lower()


@click.group(cls=ListingGroup, meant="history")
def rules() -> None:
    """Look back at the rules that decided.

    Events, incidents and deliveries name them by their hash, as `rules_hash`. Without a command, `history` is meant.
    """


@rules.command(
    cls=Taught,
    examples=("alertbridge rules history", "alertbridge rules history --json"),
)
@config_option
@url_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def history(config: Path, url: str | None, *, as_json: bool) -> None:
    """List the sets of rules that were loaded, the last one first.

    The one in use is marked with *. A set that nothing names any more is forgotten when twenty others have been loaded
    after it.
    """
    from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick

    found = list(Caller(config, url=url).items("/api/v1/rules"))
    if as_json:
        items = [{"short": one["hash"][:_SHORT], **one} for one in found]
        click.echo(json.dumps({"items": items}, indent=2, ensure_ascii=False))
    else:
        for line in _table(found):
            click.echo(line)


@rules.command(
    cls=Taught,
    examples=(
        "alertbridge rules show 465ebb44bc01",
        "diff <(alertbridge rules show 465ebb44bc01) <(alertbridge rules show 9d02aa7c1e55)",
    ),
)
@click.argument("hash", metavar="HASH", callback=_beginning)
@config_option
@url_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show(hash: str, config: Path, url: str | None, *, as_json: bool) -> None:  # noqa: A002 - the word used for it everywhere
    """Print a set of rules as YAML.

    HASH may be the beginning of a hash, if only one begins so. What decides is shown, file by file: rules, severities,
    services, and what of sources and destinations bears on it; comments and secrets are not kept.
    """
    from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick
    from alertbridge.cli.rule_text import as_yaml  # noqa: PLC0415 - see above

    found = Caller(config, url=url).get(f"/api/v1/rules/{hash}")
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else as_yaml(found), nl=as_json)


def _table(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield f"  {'hash':{_SHORT}}  {'last loaded':20}  {'first loaded':20}  {'rules':>5}  open incidents"
    for one in found:
        mark = click.style("*", fg="green", bold=True) if one["in_use"] else " "
        loaded = f"{second(one['last_loaded_at']):20}  {second(one['first_loaded_at']):20}"
        yield f"{mark} {one['hash'][:_SHORT]}  {loaded}  {one['rules']:5}  {one['open_incidents']:14}"
