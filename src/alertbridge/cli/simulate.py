"""`alertbridge simulate`."""

from __future__ import annotations

import asyncio
import signal

import click

from alertbridge.cli.address import Address, address, why
from alertbridge.cli.taught import Taught
from alertbridge.clock import SystemClock


@click.command(
    cls=Taught,
    examples=(
        "alertbridge simulate",
        "alertbridge simulate --listen 127.0.0.1:8080",
    ),
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:9798",
    show_default=True,
    callback=address,
    help="Where to serve; port 0 takes a free one.",
)
def simulate(listen: Address) -> None:
    """Play Elven and Hivel on this machine, until Ctrl-C.

    They refuse what the vendors' pages do not allow, remember what they get, and misbehave when told to. Any token is
    good, as long as there is one. The configuration that `alertbridge init` writes sends here.
    """
    try:
        asyncio.run(_serve(listen))
    except OSError as error:
        raise click.ClickException(f"cannot serve on {listen}: {why(error)}") from error


async def _serve(listen: Address) -> None:
    from alertbridge.simulate.server import Simulation  # noqa: PLC0415 - heavy, and `--help` is to be quick

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    simulation = Simulation(clock=SystemClock())
    try:
        await simulation.start(listen.host, listen.port)
        click.echo(_addresses(simulation.base_url))
        await ended.wait()
    finally:
        await simulation.stop()


def _addresses(base: str) -> str:
    return f"""Elven and Hivel are played here, until Ctrl-C. Everything is kept in memory only.

Elven:  {base}/elven/demo-token
  curl {base}/elven/demo-token -A 1PcustomAuth/1.0 -H 'Content-Type: application/json' \\
      -d '{{"action": "alarmed", "external_aggregate_key": "eu/Down", "title": "Down", "description": "It is.",
           "severity": "critical"}}'
Hivel:  {base}/hivel/api/hooks/v1/incident
  curl {base}/hivel/api/hooks/v1/incident -H 'X-API-Token: demo-token' -H 'Content-Type: application/json' \\
      -d '{{"severity": "critical", "reported_time": "2024-08-01T12:34:56Z",
           "resolution_time": "2024-08-01T12:59:00Z", "repo_url": "https://github.com/acme/checkout",
           "pr_number": "44"}}'
What they got, request by request, and what they believe of it now:
  curl {base}/received
  curl {base}/incidents
Let one misbehave, three times; then behave again at once:
  curl -X PUT {base}/behaviour/elven -d '{{"mode": "status", "status": 503, "times": 3}}'
  curl -X DELETE {base}/behaviour/elven"""
