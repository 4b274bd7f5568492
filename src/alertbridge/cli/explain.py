"""`alertbridge explain`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alertbridge.cli.options import config_option, load_or_exit, url_option
from alertbridge.cli.taught import Taught
from alertbridge.clock import SystemClock
from alertbridge.errors import MalformedBody
from alertbridge.model import Alert, AlertStatus, Notification
from alertbridge.rules.heartbeat import SELF

if TYPE_CHECKING:
    from alertbridge.config.load import Configuration
    from alertbridge.foresight import Foresight
    from alertbridge.pipeline import Bridge

_EVENT = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
_INSTANT = "write for example 2026-01-05T02:30:00+01:00"
_MOST_VERDICTS = 100_000  # each alert gets one of each rule, of about a kilobyte: as POST /api/v1/explain
_BETWEEN_PAIRS = re.compile(r",(?=[^,=]+=)")


def _pairs(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """`a=b,c=d` as a mapping; a comma parts only where a name and = follow."""
    pairs: dict[str, str] = {}
    for pair in (pair for text in texts for pair in _BETWEEN_PAIRS.split(text)):
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter(f'"{pair}" is not NAME=VALUE')
        if any("\ud800" <= sign <= "\udfff" for sign in pair):
            raise click.BadParameter("not UTF-8, as every label is")
        if name.strip() in pairs:
            raise click.BadParameter(f'"{name.strip()}" is said twice; an alert has each name once')
        pairs[name.strip()] = value.strip()
    return pairs


def _instant(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    try:
        moment = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f'"{text}" is not an instant; {_INSTANT}') from None
    if moment is not None and moment.tzinfo is None:
        raise click.BadParameter(f'"{text}" has no offset from UTC; {_INSTANT}')
    return moment and moment.astimezone(UTC)


def _there(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A file that is there, or else what can only be the id of an event."""
    if value is None or _is_event(value):
        return value
    return str(click.Path(exists=True, dir_okay=False, allow_dash=True).convert(value, parameter, context))


def _is_event(text: str) -> bool:
    return _EVENT.fullmatch(text) is not None and not Path(text).exists()


@click.command(
    cls=Taught,
    examples=(
        "alertbridge explain notification.json",
        "alertbridge explain 01M805Q3C5BSA6173TWSK32SPX",
        'echo \'{"alerts": [{"status": "firing", "labels": {"alertname": "Down"}}]}\' | alertbridge explain -',
        'alertbridge explain --labels alertname=Down,severity=page --annotations "summary=web-1 is down"',
        "alertbridge explain --at 2026-01-05T02:30:00+01:00 notification.json",
    ),
)
@click.argument("file", metavar="[FILE|EVENT]", callback=_there, required=False, default=None)
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
@click.option(
    "--source",
    metavar="NAME",
    help="The source it comes from; needed where there are several. An event knows its own.",
)
@click.option(
    "--at",
    metavar="INSTANT",
    callback=_instant,
    help="When it is heard, which matters to rules with time windows. An event was heard when it was received; anything else is now.",
)
@click.option(
    "--alert", metavar="N", type=click.IntRange(1), help="Only the alert that stands Nth in the body, from 1."
)
@config_option
@url_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(
    file: str | None,
    labels: dict[str, str],
    annotations: dict[str, str],
    source: str | None,
    at: datetime | None,
    alert: int | None,
    config: Path,
    url: str | None,
    *,
    as_json: bool,
) -> None:
    """Show what would become of the alerts in a notification.

    FILE holds its body; - reads standard input. EVENT is the id of one that the running daemon has stored: it is asked for it at the address, and with the admin token, of the configuration's section `server`, and what was really decided then is shown too.

    For each alert: which rules match, why the others do not, and the exact JSON that each destination would get. It is looked at alone:
    what the daemon remembers of earlier alerts is not. What would have more than 100,000 verdicts, one for each alert and rule, is not explained whole: --alert picks one. The rules are those of the configuration as its files are now. Nothing is sent, nothing is stored.
    """
    from alertbridge.config.secrets import Redactor  # noqa: PLC0415 - heavy with its fellows, and `--help` is to be quick
    from alertbridge.parts import bridge  # noqa: PLC0415 - see above

    _check_usage(file, labels, annotations)
    configuration = load_or_exit(config)
    given = None if file is None else _read(file, config, url)
    name = _source(configuration, source or (given.source if given else None))
    at = at or (given and given.received_at) or SystemClock().now()
    said = None if given else _notification(labels, annotations, source=name, at=at)
    seen = _foreseen(bridge(configuration), said or given, source=name, at=at, alert=alert)
    told = _told(seen, given.event if given else None, as_json=as_json)
    click.echo(Redactor(configuration.secrets).clean(told))


@dataclass(frozen=True, slots=True)
class _Given:
    """A body to explain; `event` is the daemon's account of it, if it comes from there."""

    name: str
    body: bytes
    received_at: datetime | None = None
    source: str | None = None
    event: Mapping[str, Any] | None = None

    @property
    def refusal(self) -> str:
        """What the daemon does with a body that is malformed, or has done."""
        return "would answer 400" if self.event is None else "answered 400"


def _read(file: str, config: Path, url: str | None) -> _Given:
    if _is_event(file):
        from alertbridge.cli.caller import Caller  # noqa: PLC0415 - see `explain`

        event = Caller(config, url=url).get(f"/api/v1/events/{file}")
        received = datetime.fromisoformat(event["received_at"])
        return _Given(f"event {file}", event["body"].encode(), received, event["source"], event)
    with click.open_file(file, "rb") as stream:
        name = "standard input" if file == "-" else file
        return _Given(name, stream.read())


def _foreseen(
    parts: Bridge, given: _Given | Notification | None, *, source: str, at: datetime, alert: int | None
) -> Foresight:
    from alertbridge.foresight import foresee_all  # noqa: PLC0415 - see `explain`

    assert given is not None, "usage was checked"
    said = given if isinstance(given, Notification) else _parsed(parts, given, source=source, at=at)
    number = len(said.alerts)
    if alert is not None:
        if alert > number:
            raise click.BadParameter(f"there are {number} alerts", param_hint="--alert")
        said = replace(said, alerts=said.alerts[alert - 1 : alert])
    elif number * (rules := len(parts.rulebook.rules)) > _MOST_VERDICTS:
        raise click.UsageError(
            f"{number} alerts and {rules} rules are more than {_MOST_VERDICTS:,} verdicts, which takes gigabytes of memory; "
            "explain one alert at a time: --alert N, from 1"
        )
    return foresee_all(parts, said, at=at)


def _parsed(parts: Bridge, given: _Given, *, source: str, at: datetime) -> Notification:
    feed = parts.feed(source)
    assert feed is not None, "the source was looked for"
    try:
        return feed.parser.parse(given.body, source=source, received_at=at)
    except MalformedBody as error:
        raise click.ClickException(f"{given.name}: {error}; the daemon {given.refusal}") from error


def _told(seen: Foresight, event: Mapping[str, Any] | None, *, as_json: bool) -> str:
    from alertbridge.cli import foresight, hindsight  # noqa: PLC0415 - see `explain`
    from alertbridge.foresight import as_json as as_data  # noqa: PLC0415 - see `explain`

    if not as_json:
        then = [*hindsight.as_text(event, rules_hash=seen.rules_hash), ""] if event is not None else []
        return "\n".join([*then, foresight.as_text(seen)])
    data: dict[str, Any] = as_data(seen)
    if event is not None:
        data["event"] = hindsight.as_data(event, rules_hash=seen.rules_hash)
    return json.dumps(data, indent=2, ensure_ascii=False, default=dict)


def _check_usage(file: str | None, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
    if file is None and not labels:
        raise click.UsageError("name a FILE or an EVENT, - for standard input, or give --labels")
    if file is not None and (labels or annotations):
        raise click.UsageError("the alerts are either in FILE or said by --labels and --annotations")


def _notification(
    labels: Mapping[str, str], annotations: Mapping[str, str], *, source: str, at: datetime
) -> Notification:
    """One alert that begins to fire then."""
    from alertbridge.sources.alertmanager import fingerprint  # noqa: PLC0415 - see `explain`

    alert = Alert(
        source=source,
        fingerprint=fingerprint(labels),
        status=AlertStatus.FIRING,
        labels=labels,
        annotations=annotations,
        starts_at=at,
        ends_at=None,
    )
    return Notification((alert,))


def _source(configuration: Configuration, given: str | None) -> str:
    names = list(configuration.settings.sources)
    known = f"the configuration has {', '.join(names)}" if names else "the configuration has none"
    if given is not None:
        if given not in names and given != SELF:
            raise click.BadParameter(f'no source is called "{given}"; {known}', param_hint="--source")
        return given
    if len(names) != 1:
        raise click.UsageError(f"say which source it comes from: --source NAME; {known}")
    return names[0]
