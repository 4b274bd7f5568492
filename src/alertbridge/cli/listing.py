"""A group of commands on one listing of the admin API: `list`, which may be left out, and `show ID`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from alertbridge.cli.options import daemon_options
from alertbridge.cli.since import Since
from alertbridge.cli.table import table
from alertbridge.cli.taught import Taught, TaughtGroup

if TYPE_CHECKING:
    from alertbridge.cli.caller import Caller


@dataclass(frozen=True, slots=True)
class Listing:
    """What can be asked of a listing: by which filters, and what its table shows of an item.

    A filter that has `words` may be one of them and nothing else. `told` adds to the items what only people are told.
    """

    name: str
    one: str
    help: str
    filters: Mapping[str, str]
    head: Sequence[str]
    row: Callable[[Mapping[str, Any]], Sequence[str]]
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    told: Callable[[Sequence[Mapping[str, Any]], Caller], Sequence[Mapping[str, Any]]] = lambda items, _: (
        items
    )


class ListingGroup(TaughtGroup):
    """A group in which the command `meant` is meant where none is named."""

    def __init__(self, *args: Any, meant: str = "list", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.meant = meant

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [self.meant, *args]
        return super().parse_args(ctx, args)


def listing_group(listing: Listing) -> ListingGroup:
    """The commands on a listing."""
    meant = "Without a command, `list` is meant: its options may follow at once."
    group = ListingGroup(listing.name, help=f"{listing.help}\n\n{meant}", short_help=listing.help)
    group.add_command(_list(listing))
    if listing.one:
        group.add_command(_show(listing))
    return group


def _list(listing: Listing) -> click.Command:
    @click.command(
        "list",
        cls=Taught,
        help=f"{listing.help} The newest come first." if "since" in listing.filters else listing.help,
        examples=(f"alertbridge {listing.name}", f"alertbridge {listing.name} --limit 5 --json"),
    )
    @daemon_options
    @click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    def listed(config: Path, url: str | None, limit: int, *, as_json: bool, **given: str | None) -> None:
        from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick

        query = {name: value for name, value in given.items() if value is not None}
        caller = Caller(config, url=url)
        found = list(caller.items(f"/api/v1/{listing.name}", most=limit + 1, **query))
        items = found[:limit]
        if as_json:
            click.echo(json.dumps(items, indent=2, ensure_ascii=False))
        elif items:
            click.echo(table(listing.head, [listing.row(item) for item in listing.told(items, caller)]))
        else:
            click.echo("there are none", err=True)
        if len(found) > limit:
            click.echo(f"there are more than these {limit}: narrow it down, or raise --limit", err=True)

    return filtered(listing)(listed)


def filtered(listing: Listing) -> Callable[[click.Command], click.Command]:
    """Give a command an option for each filter of the listing."""

    def given(command: click.Command) -> click.Command:
        for name, said in listing.filters.items():
            kind: click.ParamType[Any] = click.STRING
            if name == "since":
                kind = Since()
            elif words := listing.words.get(name):
                kind = click.Choice([str(word) for word in words])
            command.params.append(click.Option([f"--{name}"], type=kind, help=said))
        return command

    return given


def _show(listing: Listing) -> click.Command:
    @click.command(
        "show",
        cls=Taught,
        help=f"Show all of one {listing.one}, as JSON.",
        examples=(f"alertbridge {listing.name} show ID",),
    )
    @click.argument("identifier", metavar="ID")
    @daemon_options
    @click.option("--json", "as_json", is_flag=True, help="The same; it is JSON anyway.")
    def show(identifier: str, config: Path, url: str | None, *, as_json: bool) -> None:  # noqa: ARG001 - see its help
        from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick

        item = Caller(config, url=url).get(f"/api/v1/{listing.name}/{identifier}")
        click.echo(json.dumps(item, indent=2, ensure_ascii=False))

    return show
