"""`alertbridge trace`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from alertbridge.cli.options import daemon_options
from alertbridge.cli.printable import printable
from alertbridge.cli.table import cut, second
from alertbridge.cli.taught import Taught
from alertbridge.cli.waiting import with_hindrance

_LONGEST = 200
_MOST_FOLDED = 50
_NOT_POSTED = {
    "inferred": "inferred, ",
    "adopted": "adopted, ",
    "by_hand": "",
    "replay_of": "replay of event ",
}


@click.command(
    cls=Taught,
    examples=(
        "alertbridge trace eu/DiskFull/db-1              a key",
        "alertbridge trace 65dcebdc967c03c0              the fingerprint of an alert",
        "alertbridge trace 01M805Q2E9CFR1JZF4KQKBKP5W    an incident, a delivery or an event",
    ),
)
@click.argument("asked", metavar="KEY|FINGERPRINT|ID")
@daemon_options
@click.option("--json", "as_json", is_flag=True, help="For programs; payloads and answers are whole.")
def trace(asked: str, config: Path, url: str | None, *, as_json: bool) -> None:
    """Tell the whole story of one alert, in order.

    What was heard of it, by which rule of which rule set it was decided, what that did to which incident, what was to be
    said, each attempt to say it with its answer, and what operators did by hand.
    """
    from alertbridge.cli.caller import Caller  # noqa: PLC0415 - heavy, and `--help` is to be quick

    if not asked.strip():
        raise click.BadParameter("say what is asked for: an empty text names nothing", param_hint="KEY")
    caller = Caller(config, url=url)
    story = caller.get(f"/api/v1/trace/{asked}")
    if as_json:
        click.echo(json.dumps(story, indent=2, ensure_ascii=False))
        return
    for line in _told({**story, "story": with_hindrance(story["story"], caller)}):
        click.echo(line)


def _told(story: Mapping[str, Any]) -> Iterator[str]:
    places = {incident["id"]: incident["destination"] for incident in story["incidents"]}
    for incident in story["incidents"]:
        yield from _head(incident)
    if not story["incidents"]:
        yield click.style("no incident", bold=True)
    yield ""
    day = ""
    for entry in story["story"]:
        if entry["at"][:10] != day:
            day = entry["at"][:10]
            yield click.style(f"{day} (UTC)", bold=True)
        what, said = _STEPS[entry["what"]](entry, places)
        yield f"  {_time(entry['at'])}  {what:<9} {cut(said, _LONGEST)}"
    if not story["complete"]:
        yield click.style("there is more than is told here", fg="yellow")


def _head(incident: Mapping[str, Any]) -> Iterator[str]:
    span = f"since {second(incident['opened_at'])}"
    if incident["closed_at"]:
        span = f"{second(incident['opened_at'])} to {second(incident['closed_at'])}"
    colour = "red" if incident["state"] == "open" else "green"
    state = click.style(incident["state"], fg=colour)
    yield f"{click.style(incident['destination'], bold=True)}: {state}, {incident['severity']}, {span}"
    key, rule = printable(incident["key"]), printable(incident["rule"])
    yield f"    key {key}, rule {rule} of rule set {incident['rules_hash'][:12]}"
    firing = [one["fingerprint"] for one in incident["alerts"] if one["status"] == "firing"]
    alerts = "" if incident["folded"] else f", {len(firing)} of {len(incident['alerts'])} alerts firing"
    yield f"    incident {incident['id']}{alerts}"
    if incident["digest"]:
        yield f"    folded into digest {incident['digest']}"
    yield from _folded(incident["folded"])
    for one in incident["alerts"]:
        if held := one["held"]:
            why = f"heartbeat {held['heartbeat']} was silent"
            yield f"    {printable(one['fingerprint'])}: its resolve of {second(held['ends_at'])} is held, for {why}"
    if change := _change(incident["content"]):
        yield f"    laid to {printable(change)}"


def _folded(stood_for: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What a digest stands for; `--json` has all of it."""
    if not stood_for:
        return
    still = sum(1 for one in stood_for if one["state"] == "open")
    yield f"    a digest of {len(stood_for)} incidents, {still} of them open:"
    for one in stood_for[:_MOST_FOLDED]:
        yield f"      {one['state']:<6}  {one['incident']}  key {printable(one['key'])}"
    if len(stood_for) > _MOST_FOLDED:
        yield f"      and {len(stood_for) - _MOST_FOLDED} more"


def _change(content: Mapping[str, Any]) -> str:
    """What the incident is laid to, and where each part of that came from."""
    fields, origins = content["fields"], content["origins"]
    parts = [
        f"{name} {fields[name]} (from {origins[name]})"
        for name in ("repo_url", "pr_number")
        if fields.get(name) and origins.get(name)
    ]
    return ", ".join(parts)


def _heard(entry: Mapping[str, Any], places: Mapping[str, str]) -> tuple[str, str]:
    # Of an incident that was not asked for, nothing is known here but its id.
    known = [(one["effect"], places.get(one["id"], f"incident {one['id']}")) for one in entry["incidents"]]
    effects = [f"{effect} at {place}" for effect, place in known]
    none = "no rule asked" if entry["inferred"] or entry["by_hand"] else "no rule"
    rules = f"rule {', '.join(entry['rules'])}" if entry["rules"] else none
    became = ", ".join(effects) or entry["note"] or "nothing changed"
    why = "".join(f"{said}{entry[how]}; " for how, said in _NOT_POSTED.items() if entry[how])
    said = f"{entry['source']}/{entry['fingerprint']}: {became} ({why}{rules}; event {entry['event']})"
    return entry["status"], said


def _received(entry: Mapping[str, Any], _places: Mapping[str, str]) -> tuple[str, str]:
    became = {"received": "not decided yet", "decided": "decided; it held no alerts"}.get(
        entry["outcome"], entry["outcome"]
    )
    why = f": {entry['error']}" if entry["error"] else ""
    return "received", f"from {entry['source']}: {became}{why} (event {entry['event']})"


def _opened(entry: Mapping[str, Any], _places: Mapping[str, str]) -> tuple[str, str]:
    return "opened", f"at {entry['destination']}, by rule {entry['rule']}, without an event that is kept"


def _said(entry: Mapping[str, Any], _places: Mapping[str, str]) -> tuple[str, str]:
    payload = entry["payload"]
    words = payload.get("title") or payload.get("description") or ""
    state = entry["state"]
    if state == "pending":
        why = entry["hindrance"]
    else:
        why = "" if state == "delivered" else entry["last_error"] or ""
        why = why.removeprefix(f"{state}:").removeprefix(state).lstrip()
    again = " once more, since an earlier attempt got no answer" if entry.get("repeats") else ""
    said = f"{entry['destination']} {entry['action']}{again}: {state}"
    return "to say", ", ".join(filter(None, (said, why, f'"{words}"' if words else "", entry["id"])))


def _tried(entry: Mapping[str, Any], _places: Mapping[str, str]) -> tuple[str, str]:
    code = f"HTTP {entry['status']}" if entry["status"] else ""
    why = f": {entry['error']}" if entry["error"] else ""
    status = f", {code}" if code and code not in why else ""
    outcome = entry["outcome"] or "under way"
    return "attempt", f"{entry['destination']} {entry['action']} #{entry['number']}: {outcome}{status}{why}"


def _operator(entry: Mapping[str, Any], _places: Mapping[str, str]) -> tuple[str, str]:
    detail = ", ".join(f"{name}: {value}" for name, value in entry["detail"].items())
    what = "told" if entry["who"].startswith("deployment ") else "by hand"
    return what, f"{entry['action']} by {entry['who']}{f' ({detail})' if detail else ''}"


_STEPS = {
    "received": _received,
    "heard": _heard,
    "opened": _opened,
    "said": _said,
    "tried": _tried,
    "operator": _operator,
}


def _time(text: str) -> str:
    """The time of day to the millisecond."""
    fraction = text[20:-1] if "." in text else ""
    return f"{text[11:19]}.{fraction[:3]:0<3}"
