"""Laws that hold of every database of the relay, whatever has happened: they look at the rows alone."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from tests.support.incident_machine import Machine

_LETTER = {"alarmed": "A", "resolved": "R"}


def hold(machine: Machine) -> None:
    """Every law, once every destination has been told everything that is due."""
    incidents = {row["id"]: row for row in machine.rows("SELECT * FROM incidents")}
    deliveries = machine.rows("SELECT * FROM deliveries ORDER BY seq")
    firing = {row["incident"] for row in machine.rows("SELECT incident FROM members WHERE firing")}
    _open_while_a_member_fires(incidents, firing)
    _one_open_incident_at_a_place(incidents)
    _alarms_and_resolves_alternate(incidents, deliveries)
    _no_incident_is_told_over_another(deliveries)
    _the_last_word_is_true(incidents, deliveries)
    _one_record_of_what_is_over(incidents, deliveries)


Rows = list[dict[str, Any]]
ById = dict[str, dict[str, Any]]


def _open_while_a_member_fires(incidents: ById, firing: set[str]) -> None:
    assert firing == {one["id"] for one in incidents.values() if one["closed_at"] is None}
    for one in incidents.values():
        assert one["closed_at"] is None or one["opened_at"] <= one["closed_at"], one
        assert one["severity"] <= one["peak"], one


def _one_open_incident_at_a_place(incidents: ById) -> None:
    places = [(one["destination"], one["key"]) for one in incidents.values() if one["closed_at"] is None]
    assert len(places) == len(set(places))


def _alarms_and_resolves_alternate(incidents: ById, deliveries: Rows) -> None:
    """Of one incident that was told at all: alarmed, perhaps again, then resolved, and so on; a resolve alone where nothing was known.

    An incident that was over before its destination could hear of it may not have been told.
    """
    told: dict[str, str] = defaultdict(str)
    for row in deliveries:
        if row["state"] == "delivered" and row["action"] in _LETTER:
            told[row["incident"]] += _LETTER[row["action"]]
    for incident, letters in told.items():
        ends = incidents[incident]["closed_at"] is not None
        pattern = r"R|(A+R)+" if ends else r"(A+R)*A+"
        assert re.fullmatch(pattern, letters), (incidents[incident], letters)


def _no_incident_is_told_over_another(deliveries: Rows) -> None:
    """What is open at a place is closed before anything else is announced there."""
    opened: dict[tuple[str, str], str] = {}
    for row in deliveries:
        if row["state"] == "delivered" and row["action"] in _LETTER:
            here = (row["destination"], row["key"])
            before = opened.pop(here, row["incident"])
            if row["action"] == "alarmed":
                assert before == row["incident"], (before, row)
                opened[here] = row["incident"]


def _the_last_word_is_true(incidents: ById, deliveries: Rows) -> None:
    last = {
        (row["destination"], row["key"]): row["action"]
        for row in deliveries
        if row["state"] == "delivered" and row["action"] in _LETTER
    }
    open_places = {
        (one["destination"], one["key"])
        for one in incidents.values()
        if one["closed_at"] is None and one["reporting"] == "lifecycle"
    }
    assert {place for place, action in last.items() if action == "alarmed"} == open_places


def _one_record_of_what_is_over(incidents: ById, deliveries: Rows) -> None:
    """Or, of what was too short, a record that is skipped."""
    records: dict[str, list[str]] = defaultdict(list)
    for row in deliveries:
        if row["action"] == "record" and row["state"] not in {"superseded", "skipped"}:
            records[row["incident"]].append(row["state"])
    for incident, one in incidents.items():
        if one["reporting"] == "record":
            length = None if one["closed_at"] is None else one["closed_at"] - one["opened_at"]
            due = length is not None and length >= one["min_duration"]
            assert len(records[incident]) == int(due), (one, records[incident])
