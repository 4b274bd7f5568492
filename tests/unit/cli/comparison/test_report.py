from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import click
import pytest

from alertbridge.cli.comparison.differences import Group, Kind
from alertbridge.cli.comparison.document import as_json
from alertbridge.cli.comparison.report import as_text
from alertbridge.cli.comparison.result import Comparison, Side, Standing
from alertbridge.cli.comparison.review import Unread
from alertbridge.cli.comparison.tally import Counted, Example
from alertbridge.cli.comparison.touched import OpenIncident, Rekeyed, Stranded, Turn, Unknown
from alertbridge.model import JSON, AlertId

INCIDENT = OpenIncident(
    "i1",
    "elven",
    "eu/Disk",
    "disk",
    "high",
    "2026-01-01T12:00:00Z",
    (AlertId("prod", "a"), AlertId("prod", "b")),
)
GONE = Stranded(INCIDENT, ("destination elven is gone: it is never told that this is over",), already=False)
QUIET = Comparison(
    current=Side("a.yaml", "aa"),
    new=Side("b.yaml", "bb"),
    since=None,
    oldest=datetime(2026, 1, 1, tzinfo=UTC),
    events=1204,
    alerts=412,
    changed=0,
    truncated=0,
    groups=(),
    unread={},
    standing=Standing("http://127.0.0.1:9797", 7),
    notices=(),
)


def counted(group: Group, alerts: int = 2, keys: tuple[int, int] | None = None, *values: JSON) -> Counted:
    labels = {"alertname": "Down", "team": "x", "severity": "page", "a": "1", "b": "2", "instance": "web-1"}
    before, after = values or (None, None)
    return Counted(group, alerts, keys, (Example("prod", "f1", labels, before, after),))


def lines(**changes: object) -> list[str]:
    return click.unstyle(as_text(replace(QUIET, **changes))).splitlines()  # type: ignore[arg-type]


def test_nothing_to_tell_is_told_in_few_words() -> None:
    assert lines() == [
        "a.yaml -> b.yaml",
        "compared: 412 alerts in 1,204 notifications since 2026-01-01T00:00:00Z",
        "0 of 412 alerts would change, 412 stay as they are",
        "7 open incidents, 0 of them re-keyed; 0 incidents stranded",
    ]


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        (counted(Group(Kind.SOURCE, name="s"), 1), "1 alert comes from source s, which is gone: they would be refused"),
        (counted(Group(Kind.RULE, before="a", after="b"), 12), "12 alerts go from rule a to rule b"),
        (counted(Group(Kind.RULE, before="a", after="b, c"), 1), "1 alert goes from rule a to rules b, c"),
        (counted(Group(Kind.DROPPED, before="a", after="noise"), 3), "3 alerts are newly dropped (rule noise; now rule a)"),
        (counted(Group(Kind.DROPPED, after="noise"), 1), "1 alert is newly dropped (rule noise; now no rule)"),
        (counted(Group(Kind.UNDROPPED, before="noise", after="a")), "2 alerts are no longer dropped (rule a; now rule noise)"),
        (counted(Group(Kind.UNMATCHED, before="a"), 5), "5 alerts would no longer match any rule (now rule a)"),
        (counted(Group(Kind.MATCHED, after="a"), 5), "5 alerts newly go to rule a; no rule matches now"),
        (counted(Group(Kind.ADDED, "hivel")), "2 alerts newly go to hivel"),
        (counted(Group(Kind.REMOVED, "hivel"), 1), "1 alert no longer goes to hivel"),
        (counted(Group(Kind.KEY, "elven"), 9, (5, 2), "a", "b"), "another key at elven for 9 alerts: 5 keys become 2 new keys"),
        (counted(Group(Kind.SEVERITY, "elven", "", "critical", "high")), "severity at elven goes from critical to high for 2 alerts"),
        (counted(Group(Kind.OPTION, "elven", "resend", "never", "severity")), "resend at elven goes from never to severity for 2 alerts"),
        (counted(Group(Kind.SERVICE, "elven"), 2, None, "a", "b"), "service at elven differs for 2 alerts"),
        (counted(Group(Kind.FIELD, "elven", "title"), 9, None, "a", "b"), "title at elven differs for 9 alerts"),
        (
            counted(Group(Kind.HELD, "hivel", "", "", "repo_url")),
            "messages to hivel would be held for 2 alerts: missing repo_url (now nothing is missing)",
        ),
        (
            counted(Group(Kind.HELD, "hivel", "", "repo_url", "")),
            "messages to hivel would no longer be held for 2 alerts (now missing repo_url)",
        ),
        (
            counted(Group(Kind.FAILURE, "", "a: key"), 2, None, None, "oh"),
            "a template fails for 2 alerts, and its default is taken: a: key",
        ),
    ],
)  # fmt: skip
def test_every_kind_of_difference_is_a_sentence_with_examples(one: Counted, sentence: str) -> None:
    shown = lines(groups=(one,), changed=one.alerts)

    assert shown[2] == f"  {sentence}"
    assert shown[3].startswith("      f1 Down {severity=page, instance=web-1, a=1, b=2, …}")


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("old", "new", "'old' -> 'new'"),
        (None, "new", "nothing -> 'new'"),
        (["a"], ["a", "b"], '["a"] -> ["a", "b"]'),
        ("one\ntwo\x1b[2J", "", "'one\\ntwo\\x1b[2J' -> ''"),
        ("x" * 90 + "old", "x" * 90 + "new", f"…{'x' * 15}old' -> …{'x' * 15}new'"),
        ("old" + "x" * 90, "new" + "x" * 90, f"'old{'x' * 56}… -> 'new{'x' * 56}…"),
    ],
)
def test_two_values_are_shown_where_they_part(before: JSON, after: JSON, shown: str) -> None:
    one = counted(Group(Kind.FIELD, "elven", "title"), 1, None, before, after)

    assert lines(groups=(one,))[3].endswith(f"…}}: {shown}")


def test_what_becomes_of_open_incidents_is_told() -> None:
    standing = replace(
        QUIET.standing or Standing("", 0),
        stranded=(GONE, replace(GONE, already=True)),
        rekeyed=(
            Rekeyed(INCIDENT, Turn.REKEYED, 2, (("elven", "eu/Disk/db-1"), ("elven", "eu/Disk/db-2")), ("disk",), dropped=False),
            Rekeyed(INCIDENT, Turn.LEFT, 1, (), ("noise",), dropped=True),
            Rekeyed(INCIDENT, Turn.LEFT, 1, (("pager", "x"),), ("a", "b"), dropped=False),
            Rekeyed(INCIDENT, Turn.LEFT, 1, (), (), dropped=False),
            Rekeyed(INCIDENT, Turn.BESIDE, 1, (("hivel", "x"),), ("disk",), dropped=False),
        ),
        unknown=(Unknown(INCIDENT, 1),),
        undelivered={"hivel": 3},
        undecided={"prod": 1},
    )  # fmt: skip
    about = "elven eu/Disk (rule disk, high, open since 2026-01-01T12:00:00Z)"

    assert lines(standing=standing)[2:-2] == [
        f"  STRANDED {about}: destination elven is gone: it is never told that this is over",
        f"  already stranded {about}: destination elven is gone: it is never told that this is over",
        "  STRANDED 3 messages to hivel not delivered, and hivel is gone",
        "  STRANDED 1 event from prod not decided, and prod is gone",
        (
            f"  re-keyed {about}: 2 of 2 alerts that fire would go to elven eu/Disk/db-1, elven eu/Disk/db-2; "
            "it closes as usual, others that go there open an incident beside it"
        ),
        (
            f"  re-keyed {about}: 1 of 2 alerts that fire would no longer go to elven (dropped by rule noise); "
            "it closes as usual"
        ),
        (
            f"  re-keyed {about}: 1 of 2 alerts that fire would no longer go to elven (rules a, b), but to pager x; "
            "it closes as usual"
        ),
        f"  re-keyed {about}: 1 of 2 alerts that fire would no longer go to elven (no rule); it closes as usual",
        (
            f"  joined by another {about}: 1 of 2 alerts that fire would also go to hivel x: an incident opens there "
            "when next they are heard"
        ),
        f"  unknown {about}: what was heard of 1 of 2 alerts is not stored any more, so nothing is concluded of that",
    ]
    assert lines(standing=standing)[-1] == (
        "7 open incidents, 5 of them re-keyed; 1 incident, 3 messages, 1 event stranded"
    )


@pytest.mark.parametrize(
    ("standing", "strands"),
    [
        (Standing("", 1, stranded=(GONE,)), True),
        (Standing("", 1, stranded=(replace(GONE, already=True),)), False),
        (Standing("", 1, rekeyed=(Rekeyed(INCIDENT, Turn.LEFT, 1, (), (), dropped=False),)), False),
        (Standing("", 1, unknown=(Unknown(INCIDENT, 1),)), False),
        (Standing("", 1, undelivered={"hivel": 1}), True),
        (Standing("", 1, undecided={"prod": 1}), True),
        (None, False),
    ],
)
def test_only_what_is_left_to_nobody_is_stranded(standing: Standing | None, strands: bool) -> None:  # noqa: FBT001 - a table
    assert replace(QUIET, standing=standing).strands is strands


def test_what_could_not_be_compared_is_said() -> None:
    shown = lines(
        unread={"prod": Unread(3, "e1", "the body is not JSON")},
        truncated=7,
        notices=("look",),
        standing=None,
    )

    assert shown[1:-1] == [
        "compared: 412 alerts in 1,204 notifications",
        "notice: look",
        "not compared: 3 notifications from source prod cannot be read; the first is e1: the body is not JSON",
        "not compared: 7 alerts left out of notifications by their sender (max_alerts)",
        "0 of 412 alerts would change, 412 stay as they are",
    ]
    assert shown[-1] == "Open incidents were not looked at: only a running daemon knows them."


def test_programs_get_all_of_it() -> None:
    moved = Rekeyed(INCIDENT, Turn.REKEYED, 2, (("elven", "x"),), ("disk",), dropped=False)
    said = as_json(
        replace(
            QUIET,
            groups=(counted(Group(Kind.KEY, "elven"), 9, (5, 2), "a", "b"),),
            changed=9,
            standing=Standing(
                "http://d", 2, stranded=(GONE,), rekeyed=(moved,), unknown=(Unknown(INCIDENT, 1),)
            ),
        ),
        good=False,
    )

    incident = {
        "id": "i1",
        "destination": "elven",
        "key": "eu/Disk",
        "rule": "disk",
        "severity": "high",
        "opened_at": "2026-01-01T12:00:00Z",
        "firing": 2,
    }
    places = [{"destination": "elven", "key": "x"}]
    assert said["ok"] is False
    assert (said["changed"], said["unchanged"], said["oldest"]) == (9, 403, "2026-01-01T00:00:00Z")
    (one,) = said["differences"]  # type: ignore[misc, str-unpack]
    assert one["keys"] == {"before": 5, "after": 2}  # type: ignore[call-overload, index]
    assert said["incidents"] == {
        "open": 2,
        "stranded": [{**incident, "reasons": list(GONE.reasons), "already": False}],
        "rekeyed": [
            {**incident, "how": "rekeyed", "alerts": 2, "places": places, "rules": ["disk"], "dropped": False}
        ],
        "unknown": [{**incident, "alerts": 1}],
        "undelivered": {},
        "undecided": {},
    }
