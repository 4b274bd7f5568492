"""What differs, as sentences for people."""

from __future__ import annotations

from alertbridge.cli.comparison.differences import Group, Kind
from alertbridge.cli.comparison.tally import Counted


def number(count: int, word: str) -> str:
    """`1 alert`, `12 alerts`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def sentence(one: Counted) -> str:
    """What differs for how many alerts."""
    group, many = one.group, number(one.alerts, "alert")
    verb = "goes" if one.alerts == 1 else "go"
    match group.kind:
        case Kind.SOURCE:
            come = "comes" if one.alerts == 1 else "come"
            return f"{many} {come} from source {group.name}, which is gone: they would be refused"
        case Kind.REMOVED:
            return f"{many} no longer {verb} to {group.destination}"
        case Kind.ADDED:
            return f"{many} newly {verb} to {group.destination}"
        case Kind.KEY:
            return f"another key at {group.destination} for {many}: {_keys(*(one.keys or (0, 0)))}"
        case Kind.SEVERITY | Kind.OPTION:
            name = group.name or "severity"
            return f"{name} at {group.destination} goes from {group.before} to {group.after} for {many}"
        case Kind.SERVICE | Kind.FIELD:
            return f"{group.name or 'service'} at {group.destination} differs for {many}"
        case Kind.HELD:
            return _held(group, many)
        case Kind.FAILURE:
            return f"a template fails for {many}, and its default is taken: {group.name}"
        case _:
            return _route(group, many, verb)


def _route(group: Group, many: str, verb: str) -> str:
    are = "is" if verb == "goes" else "are"
    now, then = rule_named(group.before), rule_named(group.after)
    match group.kind:
        case Kind.DROPPED:
            return f"{many} {are} newly dropped ({then}; now {now})"
        case Kind.UNDROPPED:
            return f"{many} {are} no longer dropped ({then}; now {now})"
        case Kind.UNMATCHED:
            return f"{many} would no longer match any rule (now {now})"
        case Kind.MATCHED:
            return f"{many} newly {verb} to {then}; no rule matches now"
        case _:
            return f"{many} {verb} from {now} to {then}"


def _keys(before: int, after: int) -> str:
    return f"{number(before, 'key')} {'becomes' if before == 1 else 'become'} {number(after, 'new key')}"


def rule_named(names: str) -> str:
    """`rule a`, `rules a, b`, `no rule`."""
    if not names:
        return "no rule"
    return f"rules {names}" if ", " in names else f"rule {names}"


def _held(group: Group, many: str) -> str:
    now = f"now missing {group.before}" if group.before else "now nothing is missing"
    if not group.after:
        return f"messages to {group.destination} would no longer be held for {many} ({now})"
    return f"messages to {group.destination} would be held for {many}: missing {group.after} ({now})"
