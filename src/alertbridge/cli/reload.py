"""`alertbridge reload`."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

import click

from alertbridge.cli.options import daemon_options
from alertbridge.cli.taught import Taught
from alertbridge.errors import ConfigurationError, Problem

_STAYS = "not reloaded: the configuration before it goes on"


@click.command(
    cls=Taught,
    examples=(
        "alertbridge reload",
        "alertbridge reload --config /etc/alertbridge/alertbridge.yaml",
        "alertbridge reload --url http://127.0.0.1:9798 --force",
    ),
)
@daemon_options
@click.option(
    "--force", is_flag=True, help="Also if work waits for a source or a destination that is removed."
)
def reload(config: Path, url: str | None, *, force: bool) -> None:
    """Let the running daemon read its configuration again.

    It is told to at the address, and with the admin token, of the configuration's section `server`; which files it
    reads, it knows itself. If there is a mistake in them, it goes on as it was, and every problem is shown; the exit
    status is then 1.
    """
    from alertbridge.cli.caller import Caller, NoAnswer  # noqa: PLC0415 - heavy, and `--help` is to be quick

    try:
        caller = Caller(config, url=url)
        status, said = caller.post("/-/reload", force="true" if force else "false")
    except ConfigurationError as error:
        _fail(map(str, error.problems), "the daemon was not asked")
    except NoAnswer as error:
        _fail([str(error)], "nothing is known of the configuration in use")
    if status != HTTPStatus.OK:
        problems = [str(Problem(**each)) for each in said.get("problems", [])]
        _fail(problems or [caller.refusal(status, said)], _STAYS)
    what = "reloaded" if said["changed"] else "read again, nothing has changed"
    click.echo(f"{click.style(what, fg='green')}: hash {said['hash'][:12]}")


def _fail(lines: Iterable[str], summary: str) -> NoReturn:
    for line in lines:
        click.echo(line, err=True)
    click.echo(click.style(summary, fg="red", bold=True), err=True)
    raise click.exceptions.Exit(1)
