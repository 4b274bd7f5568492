"""`POST /api/v1/explain` over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from click.testing import CliRunner

from alertbridge.cli.main import group
from alertbridge.config.secrets import Redactor
from alertbridge.model import Secret
from alertbridge.operate import explain_page
from alertbridge.operate.explain_page import ExplainPage
from alertbridge.operate.guard import Guard
from alertbridge.parts import bridge
from alertbridge.pipeline import Bridge
from tests.support.clock import ManualClock
from tests.support.configuration import BOTH, MAIN, configure
from tests.support.payloads import captured, received_at
from tests.support.stock import serving

TWO = MAIN.replace("prod: {type", "other: {type: alertmanager}\n  prod: {type")


class Desk:
    """The page, on a bridge that the test may exchange."""

    client: aiohttp.ClientSession

    def __init__(self, parts: Bridge, token: Secret | None = None) -> None:
        self.parts = parts
        self.page = ExplainPage(
            bridge=lambda: self.parts,
            guard=Guard(token=token, loopback=True),
            clock=ManualClock(received_at("07")),
            clean=Redactor((Secret("swordfish"),)).clean,
        )

    async def ask(self, body: bytes, status: int = 200, query: str = "", **options: Any) -> Any:
        async with self.client.post(f"/api/v1/explain{query}", data=BytesIO(body), **options) as answer:
            said = await answer.read()
            assert answer.status == status, said
            assert answer.content_type == (
                "application/json" if status == 200 else "application/problem+json"
            )
            return json.loads(said)


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(bridge(configure(tmp_path)))
    async with serving(*desk.page.routes()) as desk.client:
        yield desk


async def test_it_says_what_the_command_says(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(captured("07"))
    command = [
        "explain",
        "--config",
        str(tmp_path / "alertbridge.yaml"),
        str(tmp_path / "body.json"),
        "--json",
    ]

    said = await desk.ask(captured("07"))

    assert said == json.loads(CliRunner().invoke(group, command).output)
    assert said["rules_hash"] == desk.parts.rulebook.hash
    assert [one["destination"] for one in said["alerts"][0]["messages"]] == ["elven", "hivel"]


async def test_what_would_fill_the_memory_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = {"status": "firing", "labels": {"alertname": "Down"}}
    rules = len(desk.parts.rulebook.rules)
    monkeypatch.setattr(explain_page, "_MOST_VERDICTS", 10 * rules)

    assert len((await desk.ask(json.dumps({"alerts": [alert] * 10}).encode()))["alerts"]) == 10
    refused = await desk.ask(json.dumps({"alerts": [alert] * 11}).encode(), 413)

    assert f"there are {rules} rules" in refused["detail"]


async def test_the_rules_in_use_answer(desk: Desk, tmp_path: Path) -> None:
    desk.parts = bridge(configure(tmp_path, BOTH.replace("everything", "exchanged")))

    (alert, *_) = (await desk.ask(captured("01")))["alerts"]

    assert alert["rules"] == [{"name": "exchanged", "matched": True}]


async def test_where_there_are_several_sources_the_query_names_one(desk: Desk, tmp_path: Path) -> None:
    desk.parts = bridge(configure(tmp_path, main=TWO))

    refused = await desk.ask(captured("01"), 400)
    said = await desk.ask(captured("01"), query="?source=other")

    assert (refused["parameter"], sorted(refused["allowed"])) == ("source", ["other", "prod"])
    assert said["alerts"][0]["messages"][0]["key"].startswith("other/")


@pytest.mark.parametrize("query", ["?source=none", "?source=prod&source=prod", "?rules=prod"])
async def test_a_query_that_makes_no_sense_is_refused(desk: Desk, query: str) -> None:
    assert (await desk.ask(captured("01"), 400, query))["title"] == "Bad query"


@pytest.mark.parametrize(
    ("body", "place"), [(b"", ""), (b"{", ""), (b'{"alerts": [{}]}', "alerts[0].status"), (b"\xff", "")]
)
async def test_a_malformed_body_is_told_where_and_why(desk: Desk, body: bytes, place: str) -> None:
    said = await desk.ask(body, 400)

    assert (said["title"], said["place"]) == ("Malformed body", place)
    assert said["problem"]


async def test_a_body_that_is_too_large_or_compressed_is_refused(desk: Desk) -> None:
    assert (await desk.ask(b" " * (1024 * 1024 + 1), 413))["status"] == 413
    assert (await desk.ask(b"x", 415, headers={"Content-Encoding": "br"}))["status"] == 415


async def test_a_secret_is_not_repeated(desk: Desk) -> None:
    alert = {"status": "firing", "labels": {"alertname": "swordfish"}}

    assert "swordfish" not in json.dumps(await desk.ask(json.dumps({"alerts": [alert]}).encode()))


async def test_only_operators_may_ask(tmp_path: Path) -> None:
    desk = Desk(bridge(configure(tmp_path)), token=Secret("a-token"))
    async with serving(*desk.page.routes()) as desk.client:
        await desk.ask(captured("01"), 401)
        await desk.ask(captured("01"), headers={"Authorization": "Bearer a-token"})
