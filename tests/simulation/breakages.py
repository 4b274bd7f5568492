"""The daemon, broken on purpose: each way must be caught by some seed, or the laws prove nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, select

from alertbridge.clock import Continuity, SystemClock
from alertbridge.config.secrets import Redactor
from alertbridge.deliver import allowance, budget, courier, retry
from alertbridge.deliver.courier import Courier
from alertbridge.deliver.fleet import Fleet
from alertbridge.deliver.posting import Postings
from alertbridge.deliver.retry import Settlement
from alertbridge.destinations import answers
from alertbridge.errors import StoreBroken, StoreError
from alertbridge.heartbeats.watchman import Watchman
from alertbridge.model import Ambiguous, DeliveryState, Outcome, Paused, Response, Retry
from alertbridge.pipeline import Decider
from alertbridge.receive.intake import Intake
from alertbridge.store import dispatch, repeats, spacing
from alertbridge.store.schema import deliveries
from alertbridge.store.store import Store
from tests.simulation.loop import life_of_this_moment

_Patch = Callable[[], Any]


def _acknowledged_before_the_commit() -> Any:
    keep = Store.accept

    def accept(self: Store, event: Any) -> asyncio.Future[None]:
        keep(self, event).add_done_callback(lambda done: done.exception())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    return patch.object(Store, "accept", accept)


def _nothing_recovered() -> Any:
    async def recover(*_: Any, **__: Any) -> None:
        pass

    return patch("alertbridge.app.recover", recover)


def _order_of_keys_ignored() -> Any:
    def first(destination: str, most: int) -> Any:
        wanted = (deliveries.c.destination == destination, dispatch._PENDING, deliveries.c.ready)
        return select(deliveries).where(*wanted).order_by(deliveries.c.seq.desc()).limit(most)

    return patch.object(dispatch, "_first", first)


def _settlement_given_up_on_a_full_disk() -> Any:
    async def insist(self: Courier, work: Callable[[Connection], Any], **_: Any) -> Any:
        try:
            return await self._store.write(work)
        except StoreBroken:
            raise
        except StoreError:
            return False

    return patch.object(Courier, "_insist", insist)


def _one_request_too_many() -> Any:
    keep = budget.available
    return patch.object(
        allowance, "available", lambda limit, *rest: keep(replace(limit, requests=limit.requests + 1), *rest)
    )


def _budget_forgotten_at_a_restart() -> Any:
    keep, began = dispatch.recent_starts, dict[object, datetime]()

    def recent(connection: Connection, destination: str, *, since: datetime) -> list[datetime]:
        life = life_of_this_moment()
        assert life is not None
        first = began.setdefault(life, life.clock.now())
        return [start for start in keep(connection, destination, since=since) if start >= first]

    return patch.object(dispatch, "recent_starts", recent)


def _retry_after_swallowed() -> Any:
    return patch.object(answers, "_pause", lambda _response: None)


def _too_many_requests_is_a_failure_like_any() -> Any:
    keep = answers.interpret

    def interpret(response: Response, **rest: Any) -> Outcome:
        outcome = keep(response, **rest)
        return Retry("HTTP 429") if isinstance(outcome, Paused) and response.status == 429 else outcome

    return patch.object(answers, "interpret", interpret)


def _sent_again_after_it_was_delivered() -> Any:
    keep = retry.settle

    def settle(outcome: Outcome, **rest: Any) -> Settlement:
        settled = keep(outcome, **rest)
        if settled.outcome == "delivered" and rest["attempts"] == 2:
            return replace(settled, state=DeliveryState.PENDING, next_attempt_at=rest["now"])
        return settled

    return patch.object(courier, "settle", settle)


def _no_answer_counts_as_delivered() -> Any:
    keep = retry.settle

    def settle(outcome: Outcome, **rest: Any) -> Settlement:
        settled = keep(outcome, **rest)
        if isinstance(outcome, Ambiguous):
            return replace(settled, state=DeliveryState.DELIVERED, next_attempt_at=None)
        return settled

    return patch.object(courier, "settle", settle)


def _reopened_and_recorded_all_the_same() -> Any:
    return patch.object(Postings, "_withdraw_record", lambda *_: None)


def _opposites_do_not_wait() -> Any:
    return patch.object(spacing, "_last_lost", lambda *_: [])


def _nothing_is_said_once_more() -> Any:
    return patch.object(repeats, "repeat", lambda *_, **__: False)


@contextmanager
def _lost_answers_lead_to_nothing() -> Iterator[None]:
    with _opposites_do_not_wait(), _nothing_is_said_once_more():
        yield


def _taken_on_a_disk_that_runs_low() -> Any:
    return patch.object(Intake, "refuse_if_short", lambda _self: None)


def _a_clock_set_forward_is_believed() -> Any:
    return patch.object(Continuity, "missed", lambda _self: timedelta(0))


def _a_clock_set_back_is_followed() -> Any:
    return patch.object(SystemClock, "now", lambda self: self._wall())


def _pause_forgotten_at_a_restart() -> Any:
    return patch.object(Courier, "recall", lambda *_: None)


def _silence_never_ends() -> Any:
    return patch.object(Watchman, "hear", lambda *_: None)


def _woken_no_more(owner: type, name: str) -> _Patch:
    return lambda: patch.object(owner, name, lambda _self: None)


def _secrets_left_in_what_is_kept() -> Any:
    return patch.object(Redactor, "clean", lambda _self, text: text)


BREAKAGES: dict[str, _Patch] = {
    "acknowledged before the commit": _acknowledged_before_the_commit,
    "what a crash interrupted is not recovered": _nothing_recovered,
    "the order of a key's messages is ignored": _order_of_keys_ignored,
    "a settlement is given up when the disk is full": _settlement_given_up_on_a_full_disk,
    "the rate limit allows one too many": _one_request_too_many,
    "a restart forgets what was sent": _budget_forgotten_at_a_restart,
    "`Retry-After` is not read": _retry_after_swallowed,
    "429 is a failure like any other": _too_many_requests_is_a_failure_like_any,
    "sent once more after it was delivered": _sent_again_after_it_was_delivered,
    "no answer counts as delivered": _no_answer_counts_as_delivered,
    "an incident that reopens keeps its record": _reopened_and_recorded_all_the_same,
    "couriers are not told of new messages": _woken_no_more(Fleet, "wake"),
    "the decider is not told of new events": _woken_no_more(Decider, "wake"),
    "answers are kept with their secrets": _secrets_left_in_what_is_kept,
    "the opposite does not wait for what may still land": _opposites_do_not_wait,
    "a state is not said again after a lost answer": _nothing_is_said_once_more,
    "what may land late is not thought of": _lost_answers_lead_to_nothing,
    "a disk that runs low is not heeded": _taken_on_a_disk_that_runs_low,
    "a clock set forward is believed": _a_clock_set_forward_is_believed,
    "a clock set back is followed": _a_clock_set_back_is_followed,
    "a restart forgets a vendor's pause": _pause_forgotten_at_a_restart,
    "beats are not heard": _silence_never_ends,
}


@contextmanager
def broken(name: str) -> Iterator[None]:
    """The daemon is broken in that way."""
    with BREAKAGES[name]():
        yield
