"""Every way that a destination's network can fail, met by one daemon at once; the table is `network_cases`."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from itertools import groupby

import pytest

from tests.faults.network_cases import CASES, REDIRECTS, Case, redirect
from tests.support.network import FIRST, LATER, Evidence, run
from tests.support.network_world import SECRET, name_of

pytestmark = [pytest.mark.program("openssl"), pytest.mark.timeout(500)]

ALL = (*CASES, *(redirect(code, "") for code in REDIRECTS))
MOST_MEMORY = 96  # MiB; the bombs alone would inflate to gigabytes, and the endless bodies to more
MOST_SAID = 32 << 20  # bytes; what sockets hold, and a little
every_case = pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return asyncio.run(run(tmp_path_factory.mktemp("network"), CASES))


@every_case
def test_a_fault_is_taken_for_what_the_table_says(evidence: Evidence, case: Case) -> None:
    during = [one for one in evidence.accounts[name_of(case)].attempts if one.during]
    assert during
    assert {one.outcome for one in during} <= case.outcomes
    if case.says:
        assert all(case.says in one.error for one in during), [one.error for one in during]


@every_case
def test_a_message_arrives_twice_only_after_an_ambiguous_attempt(evidence: Evidence, case: Case) -> None:
    account = evidence.accounts[name_of(case)]
    ambiguous = account.ambiguous()
    arrived = [asked.said for asked in account.taken]
    assert {said: number for said, number in Counter(arrived).items() if number > 1 + ambiguous[said]} == {}


@every_case
def test_when_a_fault_has_ended_everything_accepted_arrives_in_order(evidence: Evidence, case: Case) -> None:
    account = evidence.accounts[name_of(case)]
    order: dict[str, list[str]] = {key: [] for key in (*FIRST, LATER)}
    for asked in account.taken:
        key, action = asked.said
        order[key].append(action)
    told = {key: [action for action, _ in groupby(actions)] for key, actions in order.items()}
    if case.outcome == "rejected":
        assert told[LATER] == ["alarmed"]
        assert all(told[key] in ([], ["resolved"]) for key in FIRST), "what the fault met is dead, not lost"
        ended = sum(account.states[state] for state in ("dead", "delivered", "superseded"))
        assert ended == 2 * len(FIRST) + 1, "nobody is told the end of what he was not told"
        assert set(account.states) <= {"dead", "delivered", "superseded"}
        return
    assert told == {"a": ["alarmed", "resolved"], "b": ["alarmed", "resolved"], LATER: ["alarmed"]}
    assert set(account.states) == {"delivered"}


def test_a_destination_that_is_well_has_everything_before_the_first_fault_ends(evidence: Evidence) -> None:
    assert sorted(evidence.well_in_time) == sorted(
        (key, action) for key in FIRST for action in ("alarmed", "resolved")
    )


def test_a_redirect_is_followed_by_nobody(evidence: Evidence) -> None:
    assert evidence.followed == 0


def test_no_secret_is_in_the_log_the_database_the_metrics_or_the_api(evidence: Evidence) -> None:
    assert [place for place, content in evidence.shown.items() if SECRET in content] == []
    assert all(evidence.shown.values())


def test_what_never_ends_is_broken_off_and_held_by_nobody(
    evidence: Evidence, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\nmemory grew by {evidence.grown_mib:.0f} MiB; {evidence.seconds}")
    assert evidence.grown_mib < MOST_MEMORY
    said = {name: account.said_bytes for name, account in evidence.accounts.items()}
    assert {name: bytes_ for name, bytes_ in said.items() if bytes_ > MOST_SAID} == {}


def test_nothing_is_left_behind_and_no_error_goes_unheard(evidence: Evidence) -> None:
    assert evidence.exit_code == 0
    log = evidence.shown["log"].decode()
    for line in log.splitlines():
        said = json.loads(line)  # a warning or a traceback on stderr is no JSON
        assert said["event"] not in {"delivery.broke", "courier.failed", "daemon.broke"}, line
        assert said.get("logger") != "asyncio", line
        assert said["level"] != "error", line
