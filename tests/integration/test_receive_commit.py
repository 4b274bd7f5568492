"""When a webhook is answered: after the commit, or not with 2xx at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from alertbridge.errors import StoreError, StoreFull, StoreLocked
from alertbridge.model import Event, Notification
from alertbridge.store import inbox
from alertbridge.store.store import Store
from tests.integration.receiving import EMPTY, PROD, Bridge, answer, request, served, until


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with served() as bridge:
        yield bridge


async def test_nothing_is_answered_before_the_commit(bridge: Bridge) -> None:
    bridge.open_gate.clear()
    posting = asyncio.create_task(bridge.post())
    await bridge.committing.wait()
    done, _ = await asyncio.wait([posting], timeout=0.1)
    assert not done
    assert bridge.counted("prod", "received") == 0

    bridge.open_gate.set()

    assert (await posting).status == 202


@pytest.mark.parametrize(
    ("failure", "title"),
    [(StoreFull("/var: no room"), "Storage full"), (StoreLocked("/var: locked"), "Storage unavailable")],
)
async def test_what_cannot_be_stored_is_to_be_sent_again(
    bridge: Bridge, failure: StoreError, title: str
) -> None:
    bridge.failure = failure
    with capture_logs() as logs:
        answered = await bridge.post()

    assert (answered.status, answered.headers["retry-after"]) == (503, "5")
    assert answered.problem()["title"] == title
    assert "/var" not in str(answered)
    assert [(log["event"], log["reason"], log["cause"]) for log in logs] == [
        ("event.refused", title, str(failure))
    ]


async def test_the_log_names_the_source_that_there_is_not(bridge: Bridge) -> None:
    with capture_logs() as logs:
        await bridge.post("/v1/sources/prdo")
        await bridge.post("/v1/sources/prod/")

    assert [(log["event"], log["source"], log["cause"]) for log in logs] == [
        (
            "event.refused",
            "unknown",
            'no source is called "prdo"; the names stand under `sources:` in the configuration',
        ),
        ("event.refused", "unknown", "the address of a source has no trailing slash"),
    ]


async def test_a_failure_nobody_expected_is_to_be_sent_again(bridge: Bridge) -> None:
    bridge.failure = RuntimeError("canary")
    with capture_logs() as logs:
        answered = await bridge.post()

    assert answered.problem()["status"] == 500
    assert "canary" not in str(answered)
    assert [log["event"] for log in logs] == ["request.failed"]


@pytest.mark.parametrize("path", [PROD, "/v1/sources/none", "/v1/sources/elsewhere"])
async def test_once_closed_every_webhook_is_to_be_sent_again_elsewhere(bridge: Bridge, path: str) -> None:
    bridge.receiver.close()

    answered = await bridge.post(path, method="GET")

    assert answered.problem()["title"] == "Shutting down"
    assert (answered.status, answered.headers["retry-after"]) == (503, "5")
    assert answered.headers["connection"] == "close"


async def test_a_body_that_is_still_coming_when_the_receiver_closes_is_not_taken(bridge: Bridge) -> None:
    reader, writer = await bridge.connect()
    writer.write(request(PROD, EMPTY[:5], Content_Length=str(len(EMPTY)), Expect="100-continue"))
    await reader.readuntil(b"100 Continue\r\n\r\n")
    bridge.receiver.close()
    writer.write(EMPTY[5:])

    assert (await answer(reader)).status == 503
    assert bridge.accepted == []
    writer.close()


@pytest.mark.parametrize("name", ["prod", "signed"])
async def test_without_room_nothing_is_taken_nor_kept_nor_the_body_waited_for(
    bridge: Bridge, name: str
) -> None:
    bridge.free = 0
    answered = await bridge.post(f"/v1/sources/{name}", b"[", Content_Length="2")

    assert (answered.status, answered.headers["retry-after"]) == (503, "5")
    assert answered.problem()["title"] == "Storage full"
    assert "storage.min_free" in answered.problem()["detail"]
    assert (bridge.accepted, bridge.malformed) == ([], [])
    assert bridge.counted(name, "refused") == 1
    bridge.free = 2**40
    assert (await bridge.post()).status == 202


async def test_who_may_not_post_does_not_hear_of_the_room(bridge: Bridge) -> None:
    bridge.free = 0

    assert (await bridge.post("/v1/sources/bearer")).status == 401


async def test_a_body_that_is_still_coming_when_room_runs_out_is_not_taken(bridge: Bridge) -> None:
    reader, writer = await bridge.connect()
    writer.write(request(PROD, EMPTY[:5], Content_Length=str(len(EMPTY)), Expect="100-continue"))
    await reader.readuntil(b"100 Continue\r\n\r\n")
    bridge.free = 0
    writer.write(EMPTY[5:])

    assert (await answer(reader)).status == 503
    assert bridge.accepted == []
    writer.close()


async def test_a_client_that_leaves_before_its_end_has_said_nothing(bridge: Bridge) -> None:
    with capture_logs() as logs:
        _, writer = await bridge.connect()
        writer.write(request(PROD, EMPTY[:5], Content_Length=str(len(EMPTY))))
        await writer.drain()
        writer.close()
        await until(lambda: bridge.counted("prod", "refused"))

    assert [log["reason"] for log in logs] == ["Incomplete body"]
    assert (bridge.accepted, bridge.malformed) == ([], [])
    assert (await bridge.post()).status == 202


async def test_a_commit_stands_although_its_request_was_cancelled(store: Store) -> None:
    begun, gate = threading.Event(), threading.Event()
    waiting: list[asyncio.Future[None]] = []

    def hold(_: Connection) -> bool:
        begun.set()
        return gate.wait(10)

    def accept(event: Event, _said: Notification) -> asyncio.Future[None]:
        waiting.append(store.accept(event))
        return waiting[0]

    async with served(handler_cancellation=True) as bridge:
        bridge.receiver._accept = accept
        holding = asyncio.create_task(store.write(hold))
        await until(begun.is_set)
        _, writer = await bridge.connect()
        writer.write(request(PROD, EMPTY))
        await until(lambda: waiting)
        writer.close()
        await until(waiting[0].cancelled)
        gate.set()
        assert await holding

    assert await store.write(inbox.count_undecided) == 1
