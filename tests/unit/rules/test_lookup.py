"""Templates take columns of the row that a label selects; which tables and columns there are is checked beforehand."""

from __future__ import annotations

import pytest

from alertbridge.errors import RenderingFailed, TemplateError
from alertbridge.rules.lookup import Table
from alertbridge.rules.subject import Subject
from tests.unit.rules.samples import alert, template

ROWS = {"checkout": {"team": "payments", "tier": "1", "on call": "Ann", "note": ""}}
COLUMNS = {"owners": ("team", "tier", "on call", "note")}
PLATFORM = {"team": "platform"}


def rendered(text: str, labels: dict[str, str], missing: dict[str, str] | None = None) -> str:
    table = Table("owners", "service", ROWS, missing)
    return Subject(alert(labels), {"owners": table}).text(template(text, COLUMNS))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ lookup.owners.team }}", "payments"),
        ("{{ lookup.owners['on call'] | upper }}", "ANN"),
        ("{{ lookup['owners']['tier'] }}", "1"),
        ("{% if lookup.owners.tier == '1' %}first{% endif %}", "first"),
        ("[{{ lookup.owners.note }}]", "[]"),
    ],
)
def test_a_column_of_the_row_is_a_text(text: str, found: str) -> None:
    assert rendered(text, {"service": "checkout"}) == found


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"service": "search"}, 'the table owners has no row for service: "search"'),
        ({"service": "x" * 100}, f'the table owners has no row for service: "{"x" * 60}"'),
        ({}, "the table owners has no row for service: an alert without it"),
    ],
)
def test_a_row_that_is_missing_fails_unless_something_else_is_said(labels: dict[str, str], said: str) -> None:
    with pytest.raises(RenderingFailed) as failed:
        rendered("{{ lookup.owners.team | default('nobody') }}", labels)
    assert str(failed.value) == f"the template failed: {said}"


def test_a_row_that_is_missing_may_be_empty_or_hold_given_values() -> None:
    labels = {"service": "search"}
    assert rendered("[{{ lookup.owners.team }}]", labels, missing={}) == "[]"
    assert rendered("{{ lookup.owners.team | default('nobody') }}", labels, missing={}) == "nobody"
    assert rendered("{{ lookup.owners.team }}{{ lookup.owners.tier }}", labels, PLATFORM) == "platform"
    assert rendered("{{ lookup.owners.team }}", {"service": "checkout"}, PLATFORM) == "payments"


def test_a_template_that_asks_for_no_row_is_not_stopped_by_one_that_is_missing() -> None:
    assert rendered("{{ lookup.owners.team if labels.service else 'none' }}", {}) == "none"


@pytest.mark.parametrize(
    ("text", "problem", "remedy", "offset"),
    [
        ("a {{ lookup.ownrs.team }}", 'there is no table "ownrs"', "did you mean lookup.owners?", 12),
        ("{{ lookup.people.team }}", 'there is no table "people"', "known tables: owners", 10),
        (
            "{{ labels.x }}\n{{ lookup.owners.taem }}",
            'the table owners has no column "taem"',
            "did you mean lookup.owners.team?",
            32,
        ),
        (
            "{{ lookup.owners.on_call }}",
            'the table owners has no column "on_call"',
            "did you mean lookup.owners['on call']?",
            17,
        ),
        ("{{ lookup['owners']['x'] }}", 'has no column "x"', "known columns: team, tier, on call, note", 21),
        ("{{ lookup.owners }}", "names its table and its column", "write for example lookup.owners.team", 3),
        ("{{ lookup }}", "names its table and its column", "lookup.owners.team", 3),
        ("{{ lookup.owners[labels.x] }}", "names its table and its column", "lookup.owners.team", 3),
        ("{{ lookup[labels.x].team }}", "names its table and its column", "lookup.owners.team", 3),
        ("{% for x in lookup.owners %}{% endfor %}", "names its table and its column", "lookup.owners", 12),
        ("{{ lookup.owners.team }} {{ lookup | tojson }}", "names its table", "lookup.owners.team", 3),
        ("{% set lookup = 1 %}", "lookup cannot be assigned to", "another name", 0),
    ],
)
def test_a_lookup_that_leads_nowhere_is_refused_with_place_and_remedy(
    text: str, problem: str, remedy: str, offset: int
) -> None:
    with pytest.raises(TemplateError) as refused:
        template(text, COLUMNS)
    assert problem in refused.value.problem
    assert remedy in refused.value.remedy
    assert refused.value.offset == offset


def test_without_tables_every_lookup_is_refused() -> None:
    with pytest.raises(TemplateError, match='there is no table "owners"; known tables: none'):
        template("{{ lookup.owners.team }}")
    with pytest.raises(TemplateError, match=r"write for example lookup\.TABLE\.COLUMN"):
        template("{{ lookup }}")


def test_of_a_table_whose_columns_are_not_known_any_will_do() -> None:
    assert template("{{ lookup.owners.anything }}", {"owners": None}).names == {"lookup"}
