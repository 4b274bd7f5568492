"""What is done by hand at the running daemon: `complete`, `skip`, `deliveries retry`, `destinations pause`, ..."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from alertbridge.cli.options import daemon_options
from alertbridge.cli.printable import printable
from alertbridge.cli.taught import Taught

_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
_reason = click.option("--reason", required=True, help="Why; it is kept and shown.")


def _number(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """As the admin API will take it."""
    from alertbridge.destinations.change import pull_request_number  # noqa: PLC0415 - heavy, and `--help` is to be quick

    if value is not None and not pull_request_number(value):
        raise click.BadParameter(f'"{value}" is not the number of a pull request, such as 44')
    return value


@click.command(
    cls=Taught,
    examples=(
        "alertbridge complete 01M805Q2E9CFR1JZF4KQKBKP5X --repo-url https://github.com/acme/checkout --pr-number 44",
        "alertbridge deliveries --state held        lists what waits to be completed",
    ),
)
@click.argument("incident")
@click.option("--repo-url", help="The repository of the change that caused it.")
@click.option(
    "--pr-number", callback=_number, help="The pull request of that change: 44, #44, or its address."
)
@daemon_options
@_json
def complete(
    incident: str,
    repo_url: str | None,
    pr_number: str | None,
    config: Path,
    url: str | None,
    *,
    as_json: bool,
) -> None:
    """Fill in what the record of INCIDENT lacks.

    When nothing is missing any more, it is sent. An incident that is still open keeps what is said for its record.
    """
    said = {"repo_url": repo_url, "pr_number": pr_number}
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        raise click.UsageError("say --repo-url, --pr-number or both")
    act(config, url, f"incidents/{incident}/complete", given, as_json=as_json)


@click.command(
    cls=Taught, examples=('alertbridge skip 01M805Q2E9CFR1JZF4KQKBKP5X --reason "a drill, not an incident"',)
)
@click.argument("incident")
@_reason
@daemon_options
@_json
def skip(incident: str, reason: str, config: Path, url: str | None, *, as_json: bool) -> None:
    """Never send the record of INCIDENT."""
    act(config, url, f"incidents/{incident}/skip", {"reason": reason}, as_json=as_json)


@click.command(
    cls=Taught,
    examples=(
        'alertbridge incidents close 01M805Q2E9CFR1JZF4KQKBKP5W --reason "the host is gone for good"',
        "alertbridge incidents --state open         lists what could be closed",
    ),
)
@click.argument("identifier", metavar="ID")
@_reason
@daemon_options
@_json
def close(identifier: str, reason: str, config: Path, url: str | None, *, as_json: bool) -> None:
    """End an incident by hand: each alert that fires in it is resolved, wherever it fires.

    Elven gets its `resolved`, Hivel its record. While such an alert goes on as it is, it stays closed, however often its
    source repeats it; when it has resolved and fires again, that counts.
    """
    left = _tell(config, url, f"incidents/{identifier}/close", {"reason": reason})
    if as_json:
        click.echo(json.dumps(left, indent=2))
        return
    alerts = "1 alert is" if left["alerts"] == 1 else f"{left['alerts']} alerts are"
    click.echo(f"{alerts} resolved by hand; `alertbridge trace {identifier}` tells what becomes of it")


@click.command(
    cls=Taught, examples=('alertbridge destinations pause elven --reason "Elven has a maintenance window"',)
)
@click.argument("name")
@_reason
@daemon_options
def pause(name: str, reason: str, config: Path, url: str | None) -> None:
    """Send nothing to a destination until it is resumed, also over restarts.

    What is under way is finished, what is to be said waits, and that time does not count to its age.
    """
    _tell(config, url, f"destinations/{name}/pause", {"reason": reason})
    click.echo(f"{name} is paused; `alertbridge destinations resume {name}` lets it go on")


@click.command(cls=Taught, examples=("alertbridge destinations resume elven",))
@click.argument("name")
@daemon_options
def resume(name: str, config: Path, url: str | None) -> None:
    """Let a destination go on at once, whoever or whatever has paused it."""
    _tell(config, url, f"destinations/{name}/resume", {})
    click.echo(f"{name} goes on")


@click.command(
    "test",
    cls=Taught,
    examples=("alertbridge destinations test elven", "alertbridge destinations test hivel --json"),
)
@click.argument("name")
@daemon_options
@_json
def try_out(name: str, config: Path, url: str | None, *, as_json: bool) -> None:
    """Try whether a destination can be reached and takes messages, also while it is paused.

    Elven gets an `alarmed` and its `resolved`, under a key of their own, with the severity informational and a title that
    says that it is a test. Hivel gets a record that lacks everything, which it is to refuse with 400: nothing is made up
    in its figures. The exit status is 1 if it did not go well.
    """
    left = _tell(config, url, f"destinations/{name}/test", {})
    click.echo(json.dumps(left, indent=2) if as_json else "\n".join(_tried(left)))
    if not left["ok"]:
        raise click.exceptions.Exit(1)


def _tried(left: dict[str, Any]) -> Iterator[str]:
    for step in left["steps"]:
        status = f"HTTP {step['status']}" if step["status"] else "no answer"
        why = f": {printable(step['error'])}" if step["error"] else ""
        yield f"{left['name']} {step['step']}: {step['outcome']}, {status}, {step['seconds']:.3f} s{why}"
    colour = "green" if left["ok"] else "red"
    yield click.style("good" if left["ok"] else "not good", fg=colour, bold=True) + f": {left['finding']}"


def _tell(config: Path, url: str | None, path: str, body: dict[str, Any]) -> dict[str, Any]:
    from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick

    return Caller(config, url=url).act(f"/api/v1/{path}", body)


def act(config: Path, url: str | None, path: str, body: dict[str, Any], *, as_json: bool) -> None:
    """Do it, and say what it has left behind."""
    left = _tell(config, url, path, body)
    if as_json:
        click.echo(json.dumps(left, indent=2))
        return
    missing = f", missing: {', '.join(left['missing'])}" if left["missing"] else ""
    if left["delivery"] is None:
        click.echo(f"kept for the record of incident {left['incident']}{missing}")
    else:
        click.echo(f"delivery {left['delivery']} to {left['destination']}: {left['state']}{missing}")
    if "resolved_by" in left:
        click.echo(f"its incident is over, so {left['resolved_by']} follows and resolves it")
    if "left_open" in left:
        click.echo(
            f"{left['destination']} was told that it is open, and nothing closes it now: close it there"
        )
