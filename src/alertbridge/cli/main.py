"""`alertbridge`: the group of all commands."""

from __future__ import annotations

import sys

import click

from alertbridge import __version__
from alertbridge.cli.amend import close, complete, pause, resume, skip, try_out
from alertbridge.cli.bulk import discard, export, retry
from alertbridge.cli.check import check
from alertbridge.cli.demo import demo
from alertbridge.cli.diff import diff
from alertbridge.cli.explain import explain
from alertbridge.cli.heartbeats import heartbeats
from alertbridge.cli.init import init
from alertbridge.cli.records import audit, deliveries, deployments, destinations, events, incidents
from alertbridge.cli.reload import reload
from alertbridge.cli.replay import replay
from alertbridge.cli.rules import rules
from alertbridge.cli.schema import schema
from alertbridge.cli.serve import serve
from alertbridge.cli.simulate import simulate
from alertbridge.cli.taught import TaughtGroup
from alertbridge.cli.test import test
from alertbridge.cli.trace import trace
from alertbridge.errors import AlertbridgeError

_SECTIONS = {
    "To see it work, with nothing to set up": ("alertbridge demo",),
    "The way to your own": (
        "alertbridge init           writes a configuration that works",
        "alertbridge check          finds every mistake in it",
        "alertbridge test           runs the tests of its rules",
        "alertbridge explain FILE   tells what would become of the alerts in a notification",
        "alertbridge simulate       plays Elven and Hivel, in a terminal of its own",
        "alertbridge serve          runs it",
    ),
    "At night": (
        "alertbridge trace KEY      tells what was done with one alert, and why",
        "alertbridge destinations   tells what waits, and where nothing gets through",
    ),
}


@click.group(cls=TaughtGroup, sections=_SECTIONS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="alertbridge", message="%(prog)s %(version)s")
def group() -> None:
    """Alerts in, incidents out: keeps Elven and Hivel in step with your monitoring.

    `alertbridge COMMAND --help` tells more, with examples. Exit status: 0 good, 1 a problem was found, 2 wrong usage.
    """


deliveries.add_command(retry)
deliveries.add_command(discard)
deliveries.add_command(export)
incidents.add_command(close)
destinations.add_command(pause)
destinations.add_command(resume)
destinations.add_command(try_out)
_COMMANDS: tuple[click.Command, ...] = (
    *(init, check, test, explain, diff, serve, reload),
    *(
        trace,
        incidents,
        deliveries,
        events,
        deployments,
        destinations,
        heartbeats,
        complete,
        skip,
        replay,
        audit,
        rules,
    ),
    *(simulate, demo, schema),
)
for command in _COMMANDS:
    group.add_command(command)


def main() -> None:
    """Run the command that the arguments name, and exit."""
    try:
        group(prog_name="alertbridge")
    except AlertbridgeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
