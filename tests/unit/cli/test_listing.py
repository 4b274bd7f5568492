"""What is wrong with the words of a command is said before the daemon is asked."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from alertbridge.cli.caller import Caller
from alertbridge.cli.main import group
from alertbridge.cli.records import DELIVERIES, DESTINATIONS, INCIDENTS, words
from alertbridge.errors import ConfigurationError
from alertbridge.operate import query


@pytest.mark.parametrize(
    ("listing", "name"),
    [
        (query.EVENTS, "state"),
        (query.INCIDENTS, "state"),
        (query.DELIVERIES, "state"),
        (query.DEPLOYMENTS, "state"),
    ],
)
def test_a_state_that_there_is_not_is_wrong_usage_and_those_that_there_are_are_named(
    listing: query.Listing, name: str
) -> None:
    result = CliRunner().invoke(group, [listing.name, f"--{name}", "nope"])
    assert result.exit_code == 2
    assert ", ".join(f"'{state}'" for state in listing.states) in result.output


def test_an_action_that_there_is_not_is_wrong_usage() -> None:
    result = CliRunner().invoke(group, ["deliveries", "--action", "nope"])
    assert result.exit_code == 2
    assert "'alarmed', 'resolved', 'record', 'deployment'" in result.output


@pytest.mark.parametrize("asked", ["", "  "])
def test_a_trace_of_nothing_is_wrong_usage(asked: str) -> None:
    result = CliRunner().invoke(group, ["trace", asked])
    assert result.exit_code == 2
    assert "an empty text names nothing" in result.output


@pytest.mark.parametrize("number", ["9" * 23, "soon", "0", "-4", ""])
def test_what_is_no_number_of_a_pull_request_is_wrong_usage(number: str) -> None:
    result = CliRunner().invoke(group, ["complete", "01M805Q2E9CFR1JZF4KQKBKP5X", f"--pr-number={number}"])
    assert result.exit_code == 2
    assert "is not the number of a pull request" in result.output


def test_what_is_kept_of_a_deed_is_told_in_words() -> None:
    detail = {
        "filter": {"state": "dead", "force": True},
        "reason": "over meanwhile",
        "fields": ["a"],
        "n": None,
    }
    assert [*words(detail)] == [
        "state=dead",
        "force=true",
        "reason=over meanwhile",
        'fields=["a"]',
        "n=null",
    ]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"budget": 0, "waiting": 3}, "the rate limit is used up"),
        ({"budget": 0}, ""),
        ({"budget": 2, "waiting": 3}, ""),
        (
            {"reason": "rate_limited", "detail": "HTTP 429", "resumes_at": "2026-01-01T12:01:00.5Z"},
            "rate_limited, tried again at 2026-01-01T12:01:00Z: HTTP 429",
        ),
        ({"reason": "operator", "detail": "maintenance"}, "operator: maintenance"),
    ],
)
def test_a_destination_says_why_nothing_goes_there_and_until_when(said: dict[str, Any], why: str) -> None:
    item = {
        "name": "elven",
        "type": "elven",
        "state": "ok",
        "reason": None,
        "detail": None,
        "resumes_at": None,
        "budget": None,
        "waiting": 0,
        "held": 0,
        "dead": 0,
        "oldest_seconds": 4.0,
    }
    assert DESTINATIONS.row({**item, **said})[-1] == why


@pytest.mark.parametrize(
    ("fields", "title"),
    [({"title": "Disk full"}, "Disk full"), ({"description": "It is full"}, "It is full"), ({}, "-")],
)
def test_an_incident_is_listed_by_what_it_is_called(fields: dict[str, str], title: str) -> None:
    item: dict[str, object] = {
        "id": "I1",
        "destination": "elven",
        "state": "open",
        "severity": "low",
        "opened_at": "2026-01-01T12:00:00Z",
        "closed_at": None,
        "rule": "disk",
        "key": "prod/65dcebdc967c03c0",
        "content": {"fields": fields},
        "alerts": [],
    }
    assert INCIDENTS.row(item)[-2:] == (title, "prod/65dcebdc967c03c0")


def test_a_held_record_is_listed_with_the_command_that_completes_it() -> None:
    item = {
        "id": "D1",
        "incident": "I1",
        "destination": "hivel",
        "action": "record",
        "state": "held",
        "attempts": 0,
        "created_at": "2026-01-01T12:00:00Z",
        "key": "k",
        "missing": ["repo_url", "pr_number"],
        "last_error": "missing: repo_url, pr_number",
    }
    assert DELIVERIES.row(item)[-1] == "missing: repo_url, pr_number; alertbridge complete I1"


@pytest.mark.parametrize(("there_are", "said"), [(2, False), (3, True)])
def test_a_listing_that_is_cut_says_that_there_is_more(
    monkeypatch: pytest.MonkeyPatch, *, there_are: int, said: bool
) -> None:
    entry: dict[str, object] = {
        "at": "2026-01-01T12:00:00Z",
        "who": "alice",
        "action": "resume",
        "destination": "elven",
        "delivery": None,
        "incident": None,
        "detail": {},
    }

    def page(_caller: Caller, _path: str, /, **query: str) -> dict[str, object]:
        return {"items": [entry] * min(there_are, int(query["limit"])), "next": None}

    monkeypatch.setattr(Caller, "get", page)
    result = CliRunner().invoke(
        group, ["audit", "--limit", "2", "--config", "nowhere", "--url", "http://127.0.0.1:9"]
    )
    assert result.exit_code == 0
    assert result.stdout.count("alice") == 2
    assert ("there are more than these 2" in result.stderr) is said


@pytest.mark.parametrize("listing", ["deliveries", "heartbeats", "rules"])
def test_a_group_says_what_is_meant_without_a_command(listing: str) -> None:
    said = CliRunner().invoke(group, [listing, "--help"]).output
    assert "Without a command, `" in said


@pytest.mark.parametrize("listing", ["deliveries", "heartbeats", "rules"])
def test_a_group_takes_the_options_of_what_is_meant_without_a_command(listing: str) -> None:
    result = CliRunner().invoke(group, [listing, "--json", "--config", "nowhere.yaml"])
    assert isinstance(result.exception, ConfigurationError), result.output
