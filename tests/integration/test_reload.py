"""A running daemon reads its configuration again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import structlog
from sqlalchemy import Connection
from structlog.testing import capture_logs

from alertbridge.app import App
from alertbridge.clock import SystemClock
from alertbridge.config.load import Configuration, load
from alertbridge.config.secrets import Redactor
from alertbridge.errors import ConfigurationError
from alertbridge.simulate.server import Simulation
from alertbridge.store import standings
from alertbridge.store.stranded import Stranded
from tests.support.database import new_database

MAIN = """
server: {listen: "127.0.0.1:0", drain_timeout: 1s}
storage: {url: "sqlite:///alertbridge.db"}
sources:
  prod: {type: alertmanager}
destinations:
  elven: {type: elven, url: "STAND_INS/elven/token-of-elven", timeout: 2s, probe_interval: 1h}
rules:
  - name: first
    send: {elven: {title: "said by the first"}}
"""
EXTRA = '  extra: {type: elven, url: "STAND_INS/elven/token-of-extra", timeout: 2s}\n'


@dataclass
class Bench:
    """A daemon in this process, with stand-ins and a configuration that the test rewrites."""

    folder: Path
    stand_ins: Simulation
    session: aiohttp.ClientSession
    redactor: Redactor = field(default_factory=lambda: Redactor(()))

    def write(self, change: Callable[[str], str] = lambda text: text) -> None:
        text = change(MAIN).replace("STAND_INS", self.stand_ins.base_url)
        (self.folder / "alertbridge.yaml").write_text(dedent(text), encoding="utf-8")

    def load(self) -> Configuration:
        return load(self.folder / "alertbridge.yaml", environ={})

    async def start(self) -> None:
        new_database(self.folder / "alertbridge.db")
        self.app = App(
            configuration=self.load(),
            clock=SystemClock(),
            state_directory=str(self.folder),
            load=self.load,
            redactor=self.redactor,
        )
        await self.app.start()
        self.url = f"http://127.0.0.1:{self.app.port}"

    async def post(self, name: str, *, source: str = "prod", status: str = "firing") -> int:
        alert = {"status": status, "labels": {"alertname": name}, "fingerprint": name}
        body = json.dumps({"alerts": [alert]})
        async with self.session.post(f"{self.url}/v1/sources/{source}", data=body) as answer:
            return answer.status

    async def ask(self, path: str, method: str = "GET", **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, f"{self.url}{path}", **options) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type else text

    async def items(self, path: str) -> list[Any]:
        status, said = await self.ask(f"/api/v1/{path}")
        assert status == 200
        return list(said["items"])

    async def behave(self, **behaviour: object) -> None:
        async with self.session.put(f"{self.stand_ins.base_url}/behaviour/elven", json=behaviour) as answer:
            assert answer.status == 200, await answer.text()

    async def metric(self, name: str) -> float:
        _, page = await self.ask("/metrics")
        (line,) = (line for line in page.splitlines() if line.startswith(f"alertbridge_{name} "))
        return float(line.split()[1])

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - looks at another server
                await asyncio.sleep(0.01)

    async def settled(self) -> None:
        async with asyncio.timeout(10):
            while await self.items("events?state=received") or await self._waiting():  # noqa: ASYNC110 - asked over HTTP
                await asyncio.sleep(0.01)

    async def _waiting(self) -> bool:
        return any(one["waiting"] for one in await self.items("destinations"))


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    tokens = frozenset({"token-of-elven", "token-of-extra", "token-of-tomorrow"})
    async with (
        Simulation(elven_tokens=tokens, clock=SystemClock()) as stand_ins,
        aiohttp.ClientSession() as session,
    ):
        bench = Bench(tmp_path, stand_ins, session)
        bench.write()
        await bench.start()
        yield bench
        await bench.app.stop()


def titles(bench: Bench) -> list[str]:
    return sorted({one["title"] for one in bench.stand_ins.incidents["elven"].values()})


async def test_new_rules_decide_what_comes_next_and_leave_open_what_is_open(bench: Bench) -> None:
    await bench.post("one")
    await bench.settled()
    bench.write(lambda text: text.replace("first", "second"))

    outcome = await bench.app.reload()

    assert outcome.changed
    assert outcome.hash == bench.load().hash == bench.app.configuration.rulebook.hash
    await bench.post("two")
    await bench.settled()
    two, one = await bench.items("incidents")
    assert (one["rule"], two["rule"], two["rules_hash"]) == ("first", "second", outcome.hash)
    assert titles(bench) == ["said by the first", "said by the second"]


async def test_a_table_that_changed_is_read_again_and_a_broken_one_changes_nothing(bench: Bench) -> None:
    table = bench.folder / "teams.yaml"
    table.write_text("one: {team: red}\ntwo: {team: red}\n", encoding="utf-8")
    lookup = "lookup: {teams: {file: teams.yaml, by: alertname}}\nrules:"
    bench.write(
        lambda text: text.replace("rules:", lookup).replace(
            '"said by the first"', '"{{ lookup.teams.team }}"'
        )
    )
    assert (await bench.app.reload()).changed
    await bench.post("one")
    await bench.settled()
    table.write_text("one: {team: red}\ntwo: {team: blue}\n", encoding="utf-8")

    assert (await bench.app.reload()).changed

    table.write_text("one: {taem: red}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="the table teams has no column"):
        await bench.app.reload()
    await bench.post("two")
    await bench.settled()
    assert titles(bench) == ["blue", "red"]


async def test_reading_the_same_again_changes_nothing(bench: Bench) -> None:
    courier = bench.app._fleet.couriers["elven"]

    assert not (await bench.app.reload()).changed

    assert bench.app._fleet.couriers["elven"] is courier


async def test_heartbeats_and_pings_come_and_go_with_a_reload(bench: Bench) -> None:
    heartbeats = "heartbeats: [{name: watchdog, when: [alertname = Watchdog], every: 1h, send: [elven]}]\n"
    pings = f'pings: {{out: {{url: "{bench.stand_ins.base_url}/incidents", every: 1s}}}}\n'

    async def names() -> list[str]:
        return [one["name"] for one in await bench.items("heartbeats")]

    assert await names() == []
    bench.write(lambda text: text + heartbeats)
    assert (await bench.app.reload()).changed
    await bench.post("Watchdog")
    await bench.settled()
    assert await bench.items("incidents") == []
    async with asyncio.timeout(10):
        while await names() != ["watchdog"]:  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.05)
    before = bench.app.configuration.hash
    bench.write(lambda text: text + heartbeats + pings)
    outcome = await bench.app.reload()
    assert (outcome.changed, outcome.hash) == (True, before)
    called = bench.app.metrics.pings.labels("out", "called")._value
    await bench.until(lambda: called.get() > 0)


async def test_under_load_nothing_is_lost_or_doubled_and_every_event_was_decided_by_one_of_the_sets(
    bench: Bench,
) -> None:
    hashes = {bench.app.configuration.hash}
    posting = asyncio.gather(*(bench.post(f"alert-{number}") for number in range(300)))
    for number in range(8):
        bench.write(
            lambda text, n=number: text.replace("first", f"set{n}").replace(  # type: ignore[misc]
                "timeout: 2s,", f"timeout: {n + 2}s,"
            )
        )
        hashes.add((await bench.app.reload()).hash)
        await bench.post(f"between-{number}")

    assert set(await posting) == {202}
    await bench.settled()

    assert len(hashes) == 9
    events = await bench.items("events?limit=500")
    assert len(events) == 308
    assert {event["outcome"] for event in events} == {"decided"}
    assert {event["rules_hash"] for event in events} <= hashes
    assert len({event["rules_hash"] for event in events}) > 2
    by_rule = {(one["rule"], one["rules_hash"]) for one in await bench.items("incidents?limit=500")}
    assert len({rule for rule, _ in by_rule}) == len(by_rule), "one rule, one set"
    heard = [one for one in bench.stand_ins.received if one.status == 200]
    assert len(heard) == len(bench.stand_ins.incidents["elven"]) == 308


async def test_every_set_that_was_loaded_is_on_record_with_the_one_in_use(bench: Bench) -> None:
    first = bench.load().hash
    assert [(one["hash"], one["in_use"]) for one in await bench.items("rules")] == [(first, True)]

    bench.write(lambda text: text.replace("first", "second"))
    second = (await bench.app.reload()).hash
    bench.write(lambda text: text.replace("send:", "sned:"))
    with pytest.raises(ConfigurationError):
        await bench.app.reload()
    assert [(one["hash"], one["in_use"]) for one in await bench.items("rules")] == [
        (second, True),
        (first, False),
    ]
    _, shown = await bench.ask(f"/api/v1/rules/{second[:8]}")
    (part,) = shown["parts"]
    assert part["content"]["rules"] == [
        {"name": "second", "send": {"elven": {"title": "said by the second"}}}
    ]
    assert part["content"]["destinations"] == {"elven": {"type": "elven"}}

    bench.write()
    await bench.app.reload()
    assert [one["hash"] for one in await bench.items("rules")] == [first, second]


async def test_a_set_that_would_strand_something_is_not_on_record(bench: Bench) -> None:
    await bench.behave(mode="status", status=500)
    await bench.post("one")
    await bench.until(lambda: bool(bench.stand_ins.received))
    before = await bench.items("rules")
    bench.write(
        lambda text: text.replace("  elven: {", "  renamed: {").replace("send: {elven", "send: {renamed")
    )

    with pytest.raises(ConfigurationError):
        await bench.app.reload()

    assert await bench.items("rules") == before


async def test_a_mistake_leaves_the_old_rules_working_and_is_told_in_every_place(bench: Bench) -> None:
    before = await bench.metric("config_hash")
    bench.write(lambda text: text.replace("send: {elven", "sned: {elven").replace("prod:", "other:"))

    with capture_logs() as logs:
        bench.app._news._log = structlog.get_logger()
        status, said = await bench.ask("/-/reload", "POST")

    assert (status, said["title"]) == (422, "Not reloaded")
    (problem, *_) = said["problems"]
    assert (problem["line"], problem["field"]) == (10, "rules[0].sned")
    (line,) = (line for line in logs if line["event"] == "config.reload_failed")
    assert "alertbridge.yaml:10:5: rules[0].sned: " in line["problems"][0]
    assert await bench.metric("config_last_reload_successful") == 0
    assert await bench.metric("config_hash") == before
    status, ready = await bench.ask("/-/ready")
    assert status == 200
    assert "failed" in ready
    assert "alertbridge.yaml:10:5: rules[0].sned: " in ready
    assert await bench.post("one") == 202
    await bench.settled()
    assert titles(bench) == ["said by the first"]

    bench.write()
    assert await bench.ask("/-/reload", "POST") == (200, {"hash": bench.load().hash, "changed": False})
    assert await bench.metric("config_last_reload_successful") == 1
    assert await bench.ask("/-/ready") == (200, "ready\n")


async def test_a_secret_that_came_with_a_mistake_is_never_shown_either(bench: Bench) -> None:
    fresh = "a-secret-that-came-with-a-mistake"
    bench.write(
        lambda text: text.replace("send: {elven", "sned: {elven").replace(
            "destinations:\n", f"destinations:\n  late: {{type: hivel, token: {fresh}}}\n"
        )
    )
    assert (await bench.ask("/-/reload", "POST"))[0] == 422
    assert bench.app._redactor.clean(f"said {fresh}") == "said ***"


async def test_a_new_source_and_a_new_destination_serve_at_once(bench: Bench) -> None:
    assert await bench.post("one", source="new") == 404
    bench.write(
        lambda text: text.replace(
            "destinations:\n", "  new: {type: alertmanager}\ndestinations:\n" + EXTRA
        ).replace("send: {elven:", "send: {extra:")
    )

    await bench.app.reload()

    assert await bench.post("one", source="new") == 202
    await bench.settled()
    assert [(one["name"], one["type"]) for one in await bench.items("destinations")] == [
        ("elven", "elven"),
        ("extra", "elven"),
    ]
    (delivery,) = await bench.items("deliveries")
    assert (delivery["destination"], delivery["state"]) == ("extra", "delivered")


async def test_a_source_that_is_removed_takes_nothing_more(bench: Bench) -> None:
    bench.write(lambda text: text.replace("prod:", "other:"))

    await bench.app.reload()

    assert await bench.post("one") == 404
    assert await bench.post("one", source="other") == 202


async def test_a_body_that_is_still_coming_in_when_its_source_goes_is_refused(bench: Bench) -> None:
    gone = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"alerts": ['
        await gone.wait()
        yield b"]}"

    posting = asyncio.create_task(bench.ask("/v1/sources/prod", "POST", data=body()))
    await bench.until(lambda: bool(bench.app._runner.server and bench.app._runner.server.connections))
    await bench.post("one")  # by now the other request has been admitted
    await bench.settled()
    bench.write(lambda text: text.replace("prod:", "other:"))
    await bench.app.reload()
    gone.set()

    status, _ = await posting
    assert status == 404
    assert {event["outcome"] for event in await bench.items("events")} == {"decided"}


async def test_a_source_with_undecided_events_is_not_removed_unless_forced(bench: Bench) -> None:
    bench.app._decider.close()
    await bench.app._loops.end("decider")
    await bench.post("one")
    bench.write(lambda text: text.replace("prod:", "other:"))

    with pytest.raises(ConfigurationError, match=r"sources.prod: .* 1 event from it is not decided"):
        await bench.app.reload()
    assert await bench.post("two") == 202

    await bench.app.reload(force=True)
    assert await bench.post("three") == 404
    bench.app._decider._closing = False
    bench.app._loops.begin("decider", bench.app._decider.run())
    await bench.settled()
    assert [event["outcome"] for event in await bench.items("events")] == ["failed", "failed"]


async def test_what_comes_in_after_the_first_look_is_counted_too_and_the_source_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.app._decider.close()
    await bench.app._loops.end("decider")
    await bench.post("one")
    before = bench.app._decider.bridge
    bench.write(lambda text: text.replace("prod:", "other:"))

    read = bench.app._store.read

    async def nothing_yet(query: Callable[[Connection], Any]) -> Any:  # of the reload; others read as ever
        return Stranded({}, {}) if "find" in query.__qualname__ else await read(query)

    with monkeypatch.context() as patched:
        patched.setattr(bench.app._store, "read", nothing_yet)
        with pytest.raises(ConfigurationError, match="1 event from it is not decided"):
            await bench.app.reload()

    assert bench.app._decider.bridge is before
    assert [one["hash"] for one in await bench.items("rules")] == [before.rulebook.hash]
    assert await bench.post("two") == 202
    bench.app._decider._closing = False
    bench.app._loops.begin("decider", bench.app._decider.run())


async def test_a_destination_with_waiting_messages_is_not_removed_unless_forced(bench: Bench) -> None:
    await bench.behave(mode="status", status=500)
    await bench.post("one")
    await bench.post("two")
    await bench.until(lambda: len(bench.stand_ins.received) >= 2)
    without = MAIN.replace("elven:", "other:").replace("send: {elven", "send: {other")
    bench.write(lambda _: without)

    status, said = await bench.ask("/-/reload", "POST")

    assert status == 422
    (problem,) = said["problems"]
    assert problem["field"] == "destinations.elven"
    assert "2 messages are not delivered (" in problem["problem"]
    assert "force" in problem["remedy"]
    assert [one["name"] for one in await bench.items("destinations")] == ["elven"]

    status, said = await bench.ask("/-/reload?force=true", "POST")
    assert (status, said["changed"]) == (200, True)
    assert [one["name"] for one in await bench.items("destinations")] == ["other"]
    assert await bench.ask("/-/healthy") == (200, "ok\n")

    await bench.behave(mode="status", status=200)
    bench.write()
    await bench.app.reload()
    await bench.until(lambda: sum(one.status == 200 for one in bench.stand_ins.received) == 2)


async def test_a_destination_that_becomes_another_kind_counts_as_removed(bench: Bench) -> None:
    await bench.behave(mode="status", status=500)
    await bench.post("one")
    await bench.until(lambda: len(bench.stand_ins.received) >= 1)
    hivel = '  elven: {type: hivel, base_url: "STAND_INS/hivel", token: token-of-hivel}'
    bench.write(
        lambda text: "\n".join(
            hivel if "url:" in line and "elven:" in line else line for line in text.split("\n")
        ).replace('{title: "said by the first"}', "{}")
    )

    with pytest.raises(ConfigurationError, match=r"destinations.elven: .* 1 message is not delivered"):
        await bench.app.reload()


async def test_a_changed_secret_is_used_resumes_the_destination_and_the_old_one_is_gone(
    bench: Bench,
) -> None:
    bench.write(lambda text: text.replace("token-of-elven", "token-that-is-wrong"))
    await bench.app.reload()
    await bench.post("one")
    await bench.until(lambda: bench.app._fleet.couriers["elven"].standing.pause is not None)
    same = bench.app._fleet.couriers["elven"]
    bench.write(lambda text: text.replace("token-of-elven", "token-that-is-wrong").replace("first", "second"))
    await bench.app.reload()
    assert bench.app._fleet.couriers["elven"] is same
    await bench.until(lambda: len(bench.stand_ins.received) == 2)
    assert same.standing.pause is not None, "what has not changed stays paused, but is tried"
    bench.write(lambda text: text.replace("token-of-elven", "token-of-tomorrow"))

    assert (await bench.app.reload()).changed
    await bench.settled()

    assert [one.status for one in bench.stand_ins.received] == [401, 401, 200]
    assert bench.app._fleet.couriers["elven"].standing.pause is None
    (session,) = (same._transport._session,)
    assert session is not None
    assert session.closed
    for secret in ("token-of-elven", "token-that-is-wrong", "token-of-tomorrow"):
        assert bench.redactor.clean(f"x {secret} x") == "x *** x", "old ones stay redacted"


async def test_a_pause_that_a_reload_has_ended_does_not_come_back_with_a_restart(bench: Bench) -> None:
    await bench.behave(mode="status", status=429, headers={"Retry-After": "3600"}, times=1)
    await bench.post("one")
    await bench.until(lambda: bench.app._fleet.couriers["elven"].standing.pause is not None)
    await bench.until(lambda: not bench.app._fleet.couriers["elven"]._flying)
    assert (await bench.app._store.read(standings.find))["elven"].reason == "rate_limited"
    bench.write(lambda text: text.replace("token-of-elven", "token-of-tomorrow"))

    await bench.app.reload()

    assert await bench.app._store.read(standings.find) == {}
    await bench.settled()


async def test_a_destination_that_is_removed_leaves_no_pause_behind(bench: Bench) -> None:
    await bench.behave(mode="status", status=429, headers={"Retry-After": "3600"})
    await bench.post("one")
    await bench.until(lambda: bench.app._fleet.couriers["elven"].standing.pause is not None)
    bench.write(lambda text: text.replace("elven:", "other:"))
    await bench.app.reload(force=True)
    assert await bench.app._store.read(standings.find) == {}


async def test_a_pause_that_the_vendor_asked_for_outlives_a_change_of_something_else(bench: Bench) -> None:
    await bench.behave(mode="status", status=429, headers={"Retry-After": "3600"})
    await bench.post("one")
    await bench.until(lambda: bench.app._fleet.couriers["elven"].standing.pause is not None)
    before = bench.app._fleet.couriers["elven"]
    bench.write(lambda text: text.replace("timeout: 2s", "timeout: 3s"))

    await bench.app.reload()

    after = bench.app._fleet.couriers["elven"]
    assert after is not before
    assert after.standing == before.standing


async def test_what_is_in_flight_is_settled_before_the_new_courier_begins(bench: Bench) -> None:
    await bench.behave(mode="delay", seconds=0.5, times=1)
    await bench.post("one")
    await bench.until(lambda: bool(bench.stand_ins.received))
    old = bench.app._fleet.couriers["elven"]
    bench.write(lambda text: text.replace("timeout: 2s", "timeout: 3s"))

    await bench.app.reload()

    assert not old._flying
    await bench.settled()
    assert [one.status for one in bench.stand_ins.received] == [200]
    (delivery,) = await bench.items("deliveries")
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)


async def test_a_stop_does_not_wait_for_an_exchange_and_strands_nothing(bench: Bench) -> None:
    await bench.behave(mode="hang")
    await bench.post("one")
    await bench.until(lambda: bool(bench.stand_ins.received))
    bench.write(lambda text: text.replace("timeout: 2s", "timeout: 60s"))
    await bench.app.reload()
    await bench.until(lambda: len(bench.app._fleet.couriers["elven"]._flying) == 1)
    bench.write(lambda text: text.replace("timeout: 2s", "timeout: 61s"))
    reloading = asyncio.create_task(bench.app.reload())
    await bench.until(lambda: bool(bench.app._fleet._relieved))

    async with asyncio.timeout(10):
        await bench.app.stop()

    assert (await reloading).changed
    await bench.behave(mode="status", status=200)
    await bench.start()
    await bench.until(lambda: bool(bench.stand_ins.incidents["elven"]))


async def test_what_needs_a_restart_is_named_and_everything_else_applies(bench: Bench) -> None:
    def change(text: str) -> str:
        text = text.replace("drain_timeout: 1s", "drain_timeout: 2s, max_body: 1MiB")
        return text.replace("sources:", "log: {level: debug}\nsources:").replace("first", "second")

    bench.write(change)
    with capture_logs() as logs:
        bench.app._news._log = structlog.get_logger()
        await bench.app.reload()
        await bench.app.reload()

    warned = [line["settings"] for line in logs if line["event"] == "config.needs_restart"]
    assert warned == [["server.max_body", "server.drain_timeout", "log.level"]] * 2
    assert bench.app.configuration.settings.server.max_body == 16 * 2**20
    assert bench.app.configuration.rulebook.rules[0].name == "second"


async def test_another_admin_token_holds_at_once_for_the_reload_too(bench: Bench) -> None:
    bench.write(lambda text: text.replace("drain_timeout: 1s", "admin_token: the-new-admin-token"))
    await bench.app.reload()

    bearer = {"Authorization": "Bearer the-new-admin-token"}
    assert (await bench.ask("/-/reload", "POST"))[0] == 401
    assert (await bench.ask("/api/v1/events"))[0] == 401
    assert (await bench.ask("/api/v1/events", headers=bearer))[0] == 200
    assert (await bench.ask("/-/reload", "POST", headers=bearer))[0] == 200


async def test_a_page_from_elsewhere_may_not_reload(bench: Bench) -> None:
    async def posted(origin: str) -> int:
        return (await bench.ask("/-/reload", "POST", headers={"Origin": origin}))[0]

    assert await posted("https://evil.example") == 403
    assert await posted(bench.url) == 200


async def test_force_is_true_or_false(bench: Bench) -> None:
    status, said = await bench.ask("/-/reload?force=yes", "POST")
    assert (status, said["parameter"]) == (400, "force")


async def test_what_breaks_unexpectedly_changes_nothing_and_is_told(bench: Bench) -> None:
    def broken() -> Configuration:
        raise RuntimeError("token-of-elven is in the way")

    bench.app._load = broken
    status, said = await bench.ask("/-/reload", "POST")

    assert status == 422
    assert said["problems"][0]["problem"] == "internal error: RuntimeError: *** is in the way"
    assert await bench.post("one") == 202
