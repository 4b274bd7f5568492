"""`alertbridge explain`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from alertbridge.cli.options import config_option, load_or_exit
from alertbridge.cli.taught import Taught
from alertbridge.clock import SystemClock
from alertbridge.errors import MalformedBody
from alertbridge.model import Alert, AlertStatus, Notification

if TYPE_CHECKING:
    from alertbridge.config.load import Configuration

_BETWEEN_PAIRS = re.compile(r",(?=[^,=]+=)")


def _pairs(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """`a=b,c=d` as a mapping; a comma parts only where a name and = follow."""
    pairs: dict[str, str] = {}
    for pair in (pair for text in texts for pair in _BETWEEN_PAIRS.split(text)):
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter(f'"{pair}" is not NAME=VALUE')
        pairs[name.strip()] = value.strip()
    return pairs


@click.command(
    cls=Taught,
    examples=(
        "alertbridge explain notification.json",
        'echo \'{"alerts": [{"status": "firing", "labels": {"alertname": "Down"}}]}\' | alertbridge explain -',
        'alertbridge explain --labels alertname=Down,severity=page --annotations "summary=web-1 is down"',
    ),
)
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), required=False, default=None
)
@click.option(
    "--labels",
    metavar="NAME=VALUE,...",
    multiple=True,
    callback=_pairs,
    help="Instead of FILE: the labels of one firing alert. May be given more than once.",
)
@click.option(
    "--annotations", metavar="NAME=VALUE,...", multiple=True, callback=_pairs, help="Its annotations."
)
@click.option("--source", metavar="NAME", help="The source it comes from; needed where there are several.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(
    file: str | None,
    labels: dict[str, str],
    annotations: dict[str, str],
    source: str | None,
    config: Path,
    *,
    as_json: bool,
) -> None:
    """Show what would become of the alerts in a notification.

    FILE holds its body; - reads standard input. For each alert: which rules match, why the others do not, and the exact JSON that each destination would get. It is looked at alone:
    what the daemon remembers of earlier alerts is not. Nothing is sent, nothing is stored.
    """
    from alertbridge.cli.foresight import as_text  # noqa: PLC0415 - heavy with its fellows, and `--help` is to be quick
    from alertbridge.config.secrets import Redactor  # noqa: PLC0415 - see above
    from alertbridge.foresight import as_json as as_data  # noqa: PLC0415 - see above
    from alertbridge.foresight import foresee, foresee_all  # noqa: PLC0415 - see above
    from alertbridge.parts import bridge  # noqa: PLC0415 - see above

    _check_usage(file, labels, annotations)
    configuration = load_or_exit(config)
    name = _source(configuration, source)
    parts = bridge(configuration)
    now = SystemClock().now()
    if file is None:
        seen = foresee_all(parts, _notification(labels, annotations, source=name, now=now))
    else:
        with click.open_file(file, "rb") as stream:
            body = stream.read()
        try:
            seen = foresee(parts, body, source=name, received_at=now)
        except MalformedBody as error:
            read = "standard input" if file == "-" else file
            raise click.ClickException(f"{read}: {error}; the daemon would answer 400") from error
    clean = Redactor(configuration.secrets).clean
    if as_json:
        click.echo(clean(json.dumps(as_data(seen), indent=2, ensure_ascii=False, default=dict)))
    else:
        click.echo(clean(as_text(seen)))


def _check_usage(file: str | None, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
    if file is None and not labels:
        raise click.UsageError("name a FILE, - for standard input, or give --labels")
    if file is not None and (labels or annotations):
        raise click.UsageError("the alerts are either in FILE or said by --labels and --annotations")


def _notification(
    labels: Mapping[str, str], annotations: Mapping[str, str], *, source: str, now: datetime
) -> Notification:
    """One alert that begins to fire now."""
    from alertbridge.sources.alertmanager import fingerprint  # noqa: PLC0415 - see `explain`

    alert = Alert(
        source=source,
        fingerprint=fingerprint(labels),
        status=AlertStatus.FIRING,
        labels=labels,
        annotations=annotations,
        starts_at=now,
        ends_at=None,
    )
    return Notification((alert,))


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
