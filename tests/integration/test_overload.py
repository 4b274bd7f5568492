"""A daemon with more undecided events than it may have: 503 until they are worked off, over a restart too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from alertbridge.app import App
from alertbridge.clock import SystemClock
from tests.integration.receiving import until
from tests.support.configuration import MAIN, configure

LIMITED = MAIN.replace('alertbridge.db"}', 'alertbridge.db", inbox: {events: 2}}')


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[App, aiohttp.ClientSession]]:
    app = App(configuration=configure(folder, main=LIMITED), clock=SystemClock(), state_directory=str(folder))
    await app.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{app.port}") as session:
        yield app, session
    await app.stop()


async def post(session: aiohttp.ClientSession, name: str) -> int:
    alert = {"status": "firing", "labels": {"alertname": name}, "fingerprint": name}
    async with session.post("/v1/sources/prod", data=json.dumps({"alerts": [alert]})) as answer:
        return answer.status


async def told(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with session.get(path) as answer:
        return answer.status, await answer.text()


async def test_too_many_undecided_events_are_refused_until_they_are_worked_off_over_a_restart_too(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as (app, session):
        app._decider.close()
        await app._loops.end("decider")
        assert [await post(session, name) for name in ("one", "two", "three")] == [202, 202, 503]
        status, said = await told(session, "/-/ready")
        assert (status, "2 events wait to be decided (storage.inbox.events: 2)" in said) == (503, True)
        _, page = await told(session, "/metrics")
        assert 'alertbridge_refusing{reason="events"} 1.0' in page
        app._loops.begin("decider", app._decider.run())
    async with running(tmp_path) as (app, session), asyncio.timeout(10):
        await until(lambda: not app._intake.short_of)
        assert (await told(session, "/-/ready"))[0] == 200
        assert await post(session, "three") == 202
        await until(lambda: not app._intake._backlog.sizes)
        _, page = await told(session, "/metrics")
        assert 'alertbridge_refusing{reason="events"} 0.0' in page
        assert "alertbridge_inbox_bytes 0.0" in page


async def test_what_an_earlier_run_has_left_undecided_counts(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, session):
        app._decider.close()
        await app._loops.end("decider")
        assert [await post(session, name) for name in ("one", "two")] == [202, 202]
        left = dict(app._intake._backlog.sizes)
        app._loops.begin("decider", app._decider.run())
    begun: list[dict[str, int]] = []
    app = App(
        configuration=configure(tmp_path, main=LIMITED), clock=SystemClock(), state_directory=str(tmp_path)
    )
    begin = app._intake.begin

    def heard(waiting: Mapping[str, int]) -> None:
        begun.append(dict(waiting))
        begin(waiting)

    app._intake.begin = heard  # type: ignore[method-assign]
    await app.start()
    await app.stop()
    assert begun == [left]
