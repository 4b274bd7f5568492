from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alertbridge.deployments.deployment import Deployment, Status, told_again

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STARTED = Deployment("7", "production", Status.STARTED, AT, service="checkout", branch="main", started_at=AT)
DONE = Deployment("7", "production", Status.SUCCESS, AT + MINUTE, pr_number="44", finished_at=AT + MINUTE)


def test_the_end_adds_to_the_start_what_it_says() -> None:
    known = told_again(STARTED, DONE)

    assert (known.status, known.finished_at, known.pr_number) == (Status.SUCCESS, AT + MINUTE, "44")
    assert (known.service, known.branch, known.started_at) == ("checkout", "main", AT)


def test_a_start_that_comes_after_the_end_only_adds_what_was_not_known() -> None:
    late = replace(STARTED, said_at=AT + 2 * MINUTE)

    assert told_again(DONE, late) == replace(DONE, service="checkout", branch="main", started_at=AT)


def test_an_older_end_does_not_undo_a_newer_one() -> None:
    failed = replace(DONE, status=Status.FAILED, said_at=AT, finished_at=AT)

    assert told_again(DONE, failed) == DONE
    assert told_again(failed, DONE) == DONE


def test_a_newer_word_corrects_what_was_said() -> None:
    corrected = replace(DONE, pr_number="45", said_at=AT + 2 * MINUTE)

    assert told_again(DONE, corrected) == corrected


WORDS = st.builds(
    Deployment,
    id=st.just("7"),
    environment=st.just("production"),
    status=st.sampled_from(Status),
    said_at=st.integers(0, 5).map(lambda minutes: AT + minutes * MINUTE),
    service=st.sampled_from(["", "checkout"]),
    pr_number=st.sampled_from(["", "44"]),
    finished_at=st.just(AT),
).map(lambda one: one if one.ended else replace(one, finished_at=None))


@given(WORDS, WORDS)
def test_a_word_said_twice_changes_nothing_and_nothing_known_is_forgotten(
    known: Deployment, said: Deployment
) -> None:
    after = told_again(known, said)

    assert told_again(after, said) == after
    assert after.service == (known.service or said.service)
    assert after.ended or not known.ended
    assert (after.finished_at is not None) == after.ended
