"""The stand-ins over real HTTP, as the daemon and its tests meet them."""

from __future__ import annotations

import asyncio
import io
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson
import pytest

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation

ALARMED: Mapping[str, Any] = {
    "title": "t",
    "description": "d",
    "external_aggregate_key": "k",
    "action": "alarmed",
    "severity": "high",
    "tags": [{"name": "team", "value": "payments"}],
}
RECORD: Mapping[str, Any] = {
    "severity": "high",
    "reported_time": "2025-09-22T10:30:00Z",
    "resolution_time": "2025-09-22T11:15:00Z",
    "provider_id": "p",
    "repo_url": "https://github.com/acme/checkout",
    "pr_number": "71",
}
JSON = {"Content-Type": "application/json"}
ELVEN = {**JSON, "User-Agent": "1PcustomAuth/1.0"}
HIVEL = {**JSON, "X-API-Token": "hivel-s3cret"}
PATIENCE = 5


class StoppedClock:
    """Moves only when told to; sleepers wait until it has."""

    def __init__(self) -> None:
        self._now = datetime(2025, 9, 22, 10, 0, tzinfo=UTC)
        self._moved = asyncio.Condition()
        self.asleep = asyncio.Event()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def resume(self, latest: datetime) -> bool:
        raise AssertionError(latest)

    def ahead(self) -> timedelta:
        return timedelta(0)

    async def sleep(self, span: timedelta) -> None:
        until = self._now + span
        self.asleep.set()
        async with self._moved:
            await self._moved.wait_for(lambda: self._now >= until)

    async def advance(self, seconds: float) -> None:
        async with self._moved:
            self._now += timedelta(seconds=seconds)
            self._moved.notify_all()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def message(self) -> Any:
        return orjson.loads(self.text)["message"]


@dataclass(frozen=True, slots=True)
class Bench:
    """Running stand-ins, a client, and the stopped clock that they live by."""

    simulation: Simulation
    client: aiohttp.ClientSession
    clock: StoppedClock

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        data = None if body is None else io.BytesIO(raw)
        async with self.client.request(
            method, self.simulation.base_url + path, data=data, **options
        ) as response:
            return Answer(response.status, response.headers, await response.text(errors="replace"))

    async def elven(self, body: Any = ALARMED, *, token: str = "elven-s3cret", **options: Any) -> Answer:
        return await self.ask("POST", f"/elven/{token}", body, **{"headers": ELVEN, **options})

    async def hivel(self, body: Any = RECORD, **options: Any) -> Answer:
        return await self.ask("POST", "/hivel/api/hooks/v1/incident", body, **{"headers": HIVEL, **options})

    async def misbehave(self, destination: str, **behaviour: Any) -> None:
        answer = await self.ask("PUT", f"/behaviour/{destination}", behaviour)
        assert answer.status == 200, answer.text

    async def in_vain(self, request: Coroutine[Any, Any, Answer]) -> None:
        """Make the first request to arrive, see that it gets no answer, and give up."""
        waiting = asyncio.create_task(request)
        await self.arrival()
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    async def arrival(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.simulation.received:  # noqa: ASYNC110 - the stand-ins signal nothing to this loop
                await asyncio.sleep(0.01)

    async def get(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.text
        return orjson.loads(answer.text)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = StoppedClock()
    simulation = Simulation(elven_tokens=frozenset({"elven-s3cret"}), hivel_token="hivel-s3cret", clock=clock)
    await simulation.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as client:
            yield Bench(simulation, client, clock)
    finally:
        async with asyncio.timeout(PATIENCE):
            await simulation.stop()


async def test_good_requests_are_answered_as_the_vendors_do(bench: Bench) -> None:
    elven, hivel = await bench.elven(), await bench.hivel()
    assert (elven.status, elven.message) == (200, "ok")
    assert (hivel.status, hivel.headers["Content-Type"]) == (200, "application/json")
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(hivel.text)


async def test_the_token_of_elven_may_stand_in_the_query(bench: Bench) -> None:
    for path, status in [
        ("/elven?token=elven-s3cret", 200),
        ("/elven?token=other", 401),
        ("/elven", 401),
        ("/elven/", 401),
        ("/elven/other", 401),
        ("/elven/elven%2Ds3cret", 200),
    ]:
        answer = await bench.ask("POST", path, ALARMED, headers=ELVEN)
        assert (path, answer.status) == (path, status)


@pytest.mark.parametrize(
    ("destination", "options", "status", "message"),
    [
        ("elven", {"body": {**ALARMED, "severity": "medium"}}, 400, "severity: must be 'critical', 'high', 'moderate', 'low' or 'informational'"),
        ("elven", {"headers": JSON}, 400, "User-Agent: must be 1PcustomAuth/1.0"),
        ("elven", {"headers": {**ELVEN, "Content-Type": "text/plain"}}, 415, "Content-Type: must be application/json"),
        ("elven", {"token": "other"}, 401, "token: unknown"),
        ("elven", {"body": b'{"title": "' + b"a" * 2_000_000 + b'"}'}, 413, "body: too large"),
        ("hivel", {"body": {**RECORD, "pr_number": 71}}, 400, "pr_number: must be a string"),
        ("hivel", {"headers": JSON}, 401, "X-API-Token or Authorization: required"),
    ],
)  # fmt: skip
async def test_a_refusal_says_why_is_listed_and_has_no_effect(
    bench: Bench, destination: str, options: dict[str, Any], status: int, message: str
) -> None:
    answer = await (bench.elven if destination == "elven" else bench.hivel)(**options)
    assert (answer.status, answer.message) == (status, message)
    assert answer.headers["Content-Type"].startswith("application/json")
    (item,) = bench.simulation.received
    assert (item.destination, item.status, item.problem, item.taken) == (destination, status, message, False)
    assert bench.simulation.incidents == {"elven": {}, "hivel": []}


async def test_another_method_is_refused_and_told_which_is_allowed(bench: Bench) -> None:
    for path in ("/elven/elven-s3cret", "/hivel/api/hooks/v1/incident"):
        answer = await bench.ask("GET", path)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert [item.status for item in bench.simulation.received] == [405, 405]


async def test_any_token_that_is_not_empty_is_let_in_where_none_is_configured() -> None:
    clock = StoppedClock()
    async with Simulation(clock=clock) as simulation, aiohttp.ClientSession() as client:
        bench = Bench(simulation, client, clock)
        assert (await bench.elven(token="whatever")).status == 200
        assert (await bench.hivel(headers={**JSON, "Authorization": "Bearer whatever"})).status == 200
        assert (await bench.hivel(headers=JSON)).status == 401


async def test_what_arrived_is_listed_in_order_with_tokens_masked(bench: Bench) -> None:
    await bench.elven()
    await bench.hivel()
    await bench.hivel(b"{", headers={**JSON, "Authorization": "Bearer hivel-s3cret"})
    answer = await bench.ask("GET", "/received")
    assert "s3cret" not in answer.text
    assert "s3cret" not in repr(bench.simulation.received)
    first, second, third = orjson.loads(answer.text)["items"]
    assert [item["seq"] for item in (first, second, third)] == [1, 2, 3]
    assert (first["at"], first["destination"], first["key"]) == ("2025-09-22T10:00:00Z", "elven", "k")
    assert (first["body"], orjson.loads(first["raw"])) == (ALARMED, ALARMED)
    assert first["headers"]["User-Agent"] == "1PcustomAuth/1.0"
    assert (second["key"], second["headers"]["X-API-Token"], second["problem"]) == ("p", "***", None)
    assert (third["headers"]["Authorization"], third["body"], third["raw"]) == ("***", None, "{")
    assert third["problem"].startswith("body: not JSON: ")


async def test_the_list_can_be_filtered_and_forgotten(bench: Bench) -> None:
    await bench.elven()
    await bench.elven({**ALARMED, "external_aggregate_key": "other"})
    await bench.elven({**ALARMED, "title": 1})
    await bench.hivel()
    for query, seqs in [
        ("", [1, 2, 3, 4]),
        ("?destination=hivel", [4]),
        ("?status=400", [3]),
        ("?key=k&status=200", [1]),
        ("?destination=elven&key=other", [2]),
    ]:
        assert (query, [i["seq"] for i in (await bench.get("/received" + query))["items"]]) == (query, seqs)
    for query, reason in [
        ("state=open", "state: unknown"),
        ("destination=x", "destination: must be 'elven' or 'hivel'"),
    ]:
        refused = await bench.ask("GET", "/received?" + query)
        assert (refused.status, refused.message) == (400, reason)
    assert (await bench.ask("DELETE", "/received")).status == 204
    assert await bench.get("/received") == {"items": []}
    assert await bench.get("/incidents") == {"elven": {}, "hivel": []}


async def test_incidents_are_what_the_vendors_would_believe(bench: Bench) -> None:
    await bench.elven()
    await bench.clock.advance(60)
    await bench.elven({**ALARMED, "severity": "critical"})
    await bench.elven({"action": "resolved", "external_aggregate_key": "other"})
    await bench.hivel()
    await bench.hivel()
    believed = await bench.get("/incidents")
    opened = believed["elven"]["k"]
    assert (opened["state"], opened["severity"], opened["since"]) == (
        "alarmed",
        "critical",
        "2025-09-22T10:00:00Z",
    )
    assert (opened["title"], opened["alarmed"], opened["resolved"]) == ("t", 2, 0)
    assert [entry["severity"] for entry in opened["history"]] == ["high", "critical"]
    assert believed["elven"]["other"]["state"] == "resolved"
    assert [record["duplicate"] for record in believed["hivel"]] == [False, True]
    assert believed["hivel"][0]["incident_id"] == "incident-2025-09-22-00004"
    assert {item.seq: item.note for item in bench.simulation.received if item.note} == {
        3: "resolved for a key that was never alarmed",
        5: "a record with this provider_id exists already",
    }


async def test_a_forced_status_comes_with_its_headers_and_body_as_often_as_told(bench: Bench) -> None:
    headers = {"Retry-After": "2", "content-type": "text/plain"}
    await bench.misbehave("elven", mode="status", status=503, times=2, headers=headers, body="busy")
    for _ in range(2):
        answer = await bench.elven()
        assert (answer.status, answer.headers["Retry-After"], answer.text) == (503, "2", "busy")
        assert answer.headers["Content-Type"] == "text/plain"
    assert bench.simulation.incidents["elven"] == {}
    assert (await bench.elven()).status == 200
    assert [(item.status, item.behaviour) for item in bench.simulation.received] == [
        (503, "status"),
        (503, "status"),
        (200, None),
    ]


@pytest.mark.parametrize("status", [204, 301, 304, 401, 500])
async def test_any_status_can_be_forced(bench: Bench, status: int) -> None:
    await bench.misbehave("hivel", mode="status", status=status, headers={"Location": "/elsewhere"})
    assert (await bench.hivel(allow_redirects=False)).status == status
    assert (await bench.hivel(allow_redirects=False)).status == status
    assert len(bench.simulation.incidents["hivel"]) == (2 if status == 204 else 0)


async def test_a_delayed_request_lands_late(bench: Bench) -> None:
    await bench.misbehave("elven", mode="delay", seconds=2, times=1)
    slow = asyncio.create_task(bench.elven())
    async with asyncio.timeout(PATIENCE):
        await bench.clock.asleep.wait()
    await bench.clock.advance(1)
    assert (await bench.elven({**ALARMED, "external_aggregate_key": "quick"})).status == 200
    assert list(bench.simulation.incidents["elven"]) == ["quick"]
    assert [item.status for item in bench.simulation.received] == [None, 200]
    await bench.clock.advance(1)
    async with asyncio.timeout(PATIENCE):
        assert (await slow).status == 200
    assert bench.simulation.incidents["elven"]["k"]["since"] == datetime(2025, 9, 22, 10, 0, 2, tzinfo=UTC)
    assert [item.at.second for item in bench.simulation.received] == [0, 1]


@pytest.mark.parametrize("record", [True, False])
async def test_a_hanging_request_is_never_answered_but_may_have_landed(bench: Bench, *, record: bool) -> None:
    await bench.misbehave("hivel", mode="hang", record=record, times=1)
    await bench.in_vain(bench.hivel())
    (item,) = bench.simulation.received
    assert (item.status, item.taken, item.behaviour) == (None, record, "hang")
    assert (await bench.hivel()).status == 200
    assert [each["duplicate"] for each in bench.simulation.incidents["hivel"]] == [False, True][: record + 1]


@pytest.mark.parametrize("record", [True, False])
async def test_a_closed_connection_leaves_no_answer_but_may_have_landed(
    bench: Bench, *, record: bool
) -> None:
    await bench.misbehave("elven", mode="close", record=record, times=1)
    async with aiohttp.ClientSession() as fresh:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await Bench(bench.simulation, fresh, bench.clock).elven()
    (item,) = bench.simulation.received
    assert (item.status, item.taken, item.behaviour) == (None, record, "close")
    assert list(bench.simulation.incidents["elven"]) == ["k"] * record


async def test_a_silent_destination_takes_no_request_that_it_would_refuse(bench: Bench) -> None:
    await bench.misbehave("elven", mode="hang", record=True)
    await bench.in_vain(bench.elven({**ALARMED, "severity": "bad"}))
    (item,) = bench.simulation.received
    assert (item.status, item.taken) == (None, False)
    assert item.problem is not None
    assert bench.simulation.incidents["elven"] == {}


async def test_a_rate_limit_answers_429_until_the_window_has_passed(bench: Bench) -> None:
    await bench.misbehave("elven", mode="rate_limit", requests=2, per_seconds=10)
    assert (await bench.elven()).status == 200
    await bench.clock.advance(4)
    assert (await bench.elven()).status == 200
    refused = await bench.elven()
    assert (refused.status, refused.headers["Retry-After"]) == (429, "6")
    await bench.clock.advance(6)
    assert (await bench.elven()).status == 200
    assert (await bench.elven()).headers["Retry-After"] == "4"
    assert bench.simulation.incidents["elven"]["k"]["alarmed"] == 3


async def test_a_flapping_destination_is_good_and_bad_by_turns(bench: Bench) -> None:
    await bench.misbehave("hivel", mode="flap", good=1, bad=2, status=502)
    assert [(await bench.hivel()).status for _ in range(5)] == [200, 502, 502, 200, 502]
    assert len(bench.simulation.incidents["hivel"]) == 2


async def test_garbage_is_a_200_that_took_effect(bench: Bench) -> None:
    await bench.misbehave("elven", mode="garbage")
    answer = await bench.elven()
    assert answer.status == 200
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.text)
    assert list(bench.simulation.incidents["elven"]) == ["k"]
    assert (await bench.elven(b"{")).status == 400


async def test_one_key_can_be_hit_alone(bench: Bench) -> None:
    await bench.misbehave("elven", mode="status", status=500, match={"key": "k"})
    assert (await bench.elven({**ALARMED, "external_aggregate_key": "other"})).status == 200
    assert (await bench.elven()).status == 500
    assert (await bench.elven(b"{")).status == 400
    assert (await bench.hivel()).status == 200


async def test_a_behaviour_is_shown_and_taken_back(bench: Bench) -> None:
    assert await bench.get("/behaviour") == {"elven": None, "hivel": None}
    await bench.misbehave("elven", mode="flap", good=1, bad=2)
    shown = {"mode": "flap", "good": 1, "bad": 2, "status": 503}
    assert await bench.get("/behaviour") == {"elven": shown, "hivel": None}
    assert (await bench.ask("DELETE", "/behaviour/elven")).status == 204
    assert await bench.get("/behaviour") == {"elven": None, "hivel": None}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("PUT", "/behaviour/elven", {"mode": "status"}, 400, "status: required"),
        ("PUT", "/behaviour/elven", b"mode=hang", 400, "body: not JSON: unexpected character, expected a JSON value: line 1 column 1 (char 0)"),
        ("PUT", "/behaviour/pagerduty", {"mode": "hang"}, 404, "destination: must be one of elven, hivel"),
        ("DELETE", "/behaviour/pagerduty", None, 404, "destination: must be one of elven, hivel"),
    ],
)  # fmt: skip
async def test_a_wrong_control_request_is_refused_with_the_reason(
    bench: Bench, method: str, path: str, body: Any, status: int, message: str
) -> None:
    answer = await bench.ask(method, path, body)
    assert (answer.status, answer.message) == (status, message)
    assert await bench.get("/behaviour") == {"elven": None, "hivel": None}


@pytest.mark.parametrize("behaviour", [{"mode": "hang"}, {"mode": "delay", "seconds": 3600}])
@pytest.mark.parametrize("patient", [True, False])
async def test_stopping_does_not_wait_for_what_was_told_to_wait(
    behaviour: dict[str, Any], *, patient: bool
) -> None:
    simulation = Simulation(clock=SystemClock())
    await simulation.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as client:
        bench = Bench(simulation, client, StoppedClock())
        await bench.misbehave("elven", **behaviour)
        if patient:
            waiting = asyncio.create_task(bench.elven())
            await bench.arrival()
        else:
            waiting = None
            await bench.in_vain(bench.elven())
        begun = time.monotonic()
        await simulation.stop()
        assert time.monotonic() - begun < 4
        if waiting is not None:
            with pytest.raises(aiohttp.ClientConnectionError):
                await waiting
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task for task in others if "receive" in repr(task)] == []


async def test_who_knocks_just_before_it_stops_is_cut_off_and_no_socket_stays_open() -> None:
    mistakes: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mistakes.append(context))
    for _ in range(5):
        simulation = Simulation(clock=SystemClock())
        port = await simulation.start()
        callers = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        await simulation.stop()
        for caller in callers:
            with caller:
                caller.settimeout(5)
                assert caller.recv(1) == b""
    assert mistakes == []


async def test_a_storm_is_taken_whole_and_in_order_per_key(bench: Bench) -> None:
    keys, rounds = 50, 20

    async def storm(key: str) -> None:
        for number in range(rounds):
            action = "alarmed" if number % 2 == 0 else "resolved"
            answer = await bench.elven({**ALARMED, "external_aggregate_key": key, "action": action})
            assert answer.status == 200

    await asyncio.gather(*(storm(str(key)) for key in range(keys)))
    believed = bench.simulation.incidents["elven"]
    assert [item.seq for item in bench.simulation.received] == list(range(1, keys * rounds + 1))
    assert {incident["state"] for incident in believed.values()} == {"resolved"}
    assert {(each["alarmed"], each["resolved"]) for each in believed.values()} == {(rounds / 2, rounds / 2)}
