"""What is folded into a digest, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from alertbridge.incidents.digest import Opening, closed, fold, opened
from alertbridge.incidents.state import Incident
from alertbridge.model import Content, Reporting, Severity
from tests.support.clock import NOON

MINUTE = timedelta(minutes=1)


def openings(number: int, *, told_by: str | None = None) -> list[Opening]:
    return [Opening(f"d{n}", f"i{n}", f"k{n}", NOON, NOON, told_by) for n in range(number)]


def incident(number: int, *, severity: Severity = Severity.LOW, title: str = "slow") -> Incident:
    return Incident(
        id=f"i{number}",
        destination="elven",
        reporting=Reporting.LIFECYCLE,
        key=f"k{number}",
        rule="r",
        rules_hash="h",
        severity=severity,
        peak=severity,
        opened_at=NOON + number * MINUTE,
        content=Content({"title": title}),
    )


@pytest.mark.parametrize(
    ("first", "joinable", "folded"),
    [("", False, "0123"), ("01", False, "23"), ("012", False, ""), ("012", True, "3"), ("0123", True, "")],
    ids=["all", "what goes first stays", "one is no digest", "one joins", "the budget reaches them"],
)
def test_what_is_beyond_the_budget_is_folded(*, first: str, joinable: bool, folded: str) -> None:
    chosen = fold(openings(4), first={f"d{n}" for n in first}, joinable=joinable)
    assert "".join(one.delivery[1:] for one in chosen) == folded


def test_what_a_digest_stands_for_already_needs_no_other() -> None:
    chosen = fold(openings(1, told_by="d"), first=(), joinable=False)
    assert [one.told_by for one in chosen] == ["d"]


def test_a_digest_says_how_many_of_which_severity() -> None:
    members = [incident(1), incident(2)]
    assert opened("D", members, room=4000).content.fields["title"] == "2 alerts of low severity"
    members.append(incident(3, severity=Severity.INFORMATIONAL))
    digest = opened("D", members, room=4000)
    assert digest.content.fields["title"] == "3 alerts of low severity and below"
    assert (digest.severity, digest.opened_at) == (Severity.LOW, NOON + MINUTE)


@pytest.mark.parametrize("room", [150, 200, 400, 4000])
@pytest.mark.parametrize("number", [1, 9, 100, 1000])
def test_a_digest_lists_as_many_as_there_is_room_for_and_counts_the_rest(room: int, number: int) -> None:
    text = opened("D", [incident(n) for n in range(number)], room=room).content.fields["description"]
    assert isinstance(text, str)
    _, *lines = text.splitlines()
    rest = int(lines.pop().split()[1]) if lines[-1].startswith("and ") else 0
    assert len(text) <= room
    assert lines == [f"- slow (k{n})" for n in range(number - rest)]


def test_a_title_that_is_too_long_is_left_out_and_never_cut() -> None:
    text = opened("D", [incident(1, title="x" * 201)], room=4000).content.fields["description"]
    assert str(text).endswith("\n- k1")


def test_a_digest_ends_with_the_last_of_its_members() -> None:
    members = [replace(incident(n), closed_at=NOON + n * 5 * MINUTE) for n in (1, 3, 2)]
    digest = opened("D", members, room=4000)
    assert closed(digest, members, now=NOON + 60 * MINUTE).closed_at == NOON + 15 * MINUTE
