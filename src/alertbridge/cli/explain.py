"""`alertbridge explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from alertbridge.cli.options import config_option, load_or_exit
from alertbridge.cli.taught import Taught
from alertbridge.clock import SystemClock
from alertbridge.errors import MalformedBody

if TYPE_CHECKING:
    from alertbridge.config.load import Configuration


@click.command(
    cls=Taught,
    examples=(
        "alertbridge explain notification.json",
        'echo \'{"alerts": [{"status": "firing", "labels": {"alertname": "Down"}}]}\' | alertbridge explain -',
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--source", metavar="NAME", help="The source it comes from; needed where there are several.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(file: str, source: str | None, config: Path, *, as_json: bool) -> None:
    """Show what would become of the alerts in a notification.

    FILE holds its body; - reads standard input. For each alert: the rules that match, and the exact JSON that each destination would get. It is looked at alone:
    what the daemon remembers of earlier alerts is not. Nothing is sent, nothing is stored.
    """
    from alertbridge.cli import foresight  # noqa: PLC0415 - heavy with its fellows, and `--help` is to be quick
    from alertbridge.config.secrets import Redactor  # noqa: PLC0415 - see above
    from alertbridge.parts import bridge  # noqa: PLC0415 - see above

    configuration = load_or_exit(config)
    name = _source(configuration, source)
    with click.open_file(file, "rb") as stream:
        body = stream.read()
    try:
        seen = foresight.foresee(bridge(configuration), body, source=name, received_at=SystemClock().now())
    except MalformedBody as error:
        read = "standard input" if file == "-" else file
        raise click.ClickException(f"{read}: {error}; the daemon would answer 400") from error
    clean = Redactor(configuration.secrets).clean
    if as_json:
        click.echo(clean(json.dumps(foresight.as_json(seen), indent=2, ensure_ascii=False, default=dict)))
    else:
        click.echo(clean(foresight.as_text(seen)))


def _source(configuration: Configuration, given: str | None) -> str:
    names = list(configuration.settings.sources)
    known = f"the configuration has {', '.join(names)}" if names else "the configuration has none"
    if given is not None:
        if given not in names:
            raise click.BadParameter(f'no source is called "{given}"; {known}', param_hint="--source")
        return given
    if len(names) != 1:
        raise click.UsageError(f"say which source it comes from: --source NAME; {known}")
    return names[0]
