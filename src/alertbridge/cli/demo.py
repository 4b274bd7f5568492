"""`alertbridge demo`."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from alertbridge.cli.taught import Taught
from alertbridge.clock import SystemClock

if TYPE_CHECKING:
    from alertbridge.cli.stage import Stage

_PATIENCE = timedelta(seconds=15)
_LOG_SHOWN = 15  # lines


@click.command(
    cls=Taught,
    examples=(
        "alertbridge demo",
        "alertbridge demo --once",
    ),
)
@click.option("--once", is_flag=True, help="End by itself: with 0 when everything arrived, with 1 when not.")
def demo(*, once: bool) -> None:
    """See the main job done, from end to end, on this machine alone.

    Starts stand-ins of Elven and Hivel and the real daemon with the example configuration, all on free ports and in
    a temporary folder. Posts a notification that a real Alertmanager sent, then its resolution, and tells what became
    of them. Goes on running until Ctrl-C, for you to try more; then everything is removed.
    """
    raise click.exceptions.Exit(asyncio.run(_play(once=once)))


async def _play(*, once: bool) -> int:
    from alertbridge.cli.stage import Stage  # noqa: PLC0415 - heavy, and `--help` is to be quick

    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    # Only now: until here a signal would end the process and leave the folder behind.
    with TemporaryDirectory(prefix="alertbridge-demo-") as folder:
        async with Stage(folder=Path(folder), clock=SystemClock()) as stage:
            click.echo(_beginning(stage, folder))
            status = await _tell(stage, asked)
            if status == 0 and not once:
                click.echo(_invitation(stage))
                await asked.wait()
                click.echo("\nStopping; the temporary folder is removed.")
    return status


async def _tell(stage: Stage, asked: asyncio.Event) -> int:
    """Tell the story to its end, or until somebody has `asked` to stop; the exit status."""
    from alertbridge.cli.story import Story, Unfinished  # noqa: PLC0415 - see above

    telling = asyncio.create_task(Story(stage=stage, say=click.echo, patience=_PATIENCE).tell())
    stopping = asyncio.create_task(asked.wait())
    await asyncio.wait((telling, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not telling.done():
        telling.cancel()
        await asyncio.wait((telling,))
        click.echo("\nInterrupted before the end.", err=True)
        return 1
    try:
        telling.result()
    except Unfinished as error:
        click.echo(click.style(f"\nThe demo did not come to its end: {error}", fg="red"), err=True)
        click.echo(_end_of(stage.log), err=True)
        return 1
    click.echo(click.style("\nEverything has arrived.", fg="green", bold=True))
    return 0


def _beginning(stage: Stage, folder: str) -> str:
    return (
        f"The daemon runs on {stage.url}, with the configuration that `alertbridge init` writes.\n"
        f"Elven and Hivel are played on {stage.simulation.base_url}. "
        f"Every file is in {folder}, and removed at the end."
    )


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(["The end of the daemon's log:", *(f"  {line}" for line in lines[-_LOG_SHOWN:])])


def _invitation(stage: Stage) -> str:
    from alertbridge.cli.stage import TOKEN  # noqa: PLC0415 - see above

    stand_ins = stage.simulation.base_url
    return f"""
All of it goes on running until Ctrl-C. To try, in another terminal:

  Let an alert fire; with "resolved" instead of "firing" it ends, and Hivel gets its record.
  Another cluster or alertname is another incident:
    curl {stage.webhook} -H 'Authorization: Bearer {TOKEN}' -d '{{"alerts": [
      {{"status": "firing", "labels": {{"alertname": "DiskFull", "severity": "page", "team": "payments",
        "service": "checkout", "cluster": "eu"}}, "annotations": {{"summary": "The disk is full"}}}}]}}'
  What the daemon did with it, and what Elven and Hivel got and believe:
    curl {stage.url}/api/v1/incidents
    curl {stage.url}/api/v1/deliveries
    curl {stand_ins}/received
    curl {stand_ins}/incidents
  Let Elven fail three times before the next alert: nothing is lost, it is tried again:
    curl -X PUT {stand_ins}/behaviour/elven -d '{{"mode": "status", "status": 503, "times": 3}}'
  How it is:
    curl {stage.url}/metrics
    curl {stage.url}/-/ready
    less {stage.log}

Your own: alertbridge init, alertbridge --help"""
