from __future__ import annotations

import orjson
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from alertbridge.errors import Problem
from alertbridge.operate.health import Health
from tests.support.clock import NOON


async def asked(health: Health, path: str) -> web.Response:
    (route,) = (route for route in health.routes() if route.path == path)
    answer = await route.handler(make_mocked_request("GET", path))
    assert isinstance(answer, web.Response)
    return answer


async def test_it_is_healthy_while_every_loop_runs() -> None:
    answer = await asked(Health(dead=list), "/-/healthy")
    assert (answer.status, (answer.text or "").strip()) == (200, "ok")


async def test_it_is_unhealthy_when_a_loop_has_died_and_says_which() -> None:
    dead: list[str] = []
    health = Health(dead=lambda: dead)
    dead += ["decider", "courier elven"]
    answer = await asked(health, "/-/healthy")
    assert answer.status == 503
    assert answer.content_type == "application/problem+json"
    said = orjson.loads(answer.text or "")
    assert said["loops"] == ["decider", "courier elven"]
    assert "decider, courier elven" in said["detail"]


async def test_it_is_ready_between_start_and_drain() -> None:
    health = Health(dead=list)
    steps = [await asked(health, "/-/ready")]
    health.ready()
    steps.append(await asked(health, "/-/ready"))
    health.draining()
    steps.append(await asked(health, "/-/ready"))
    assert [step.status for step in steps] == [503, 200, 503]
    assert "starting" in (steps[0].text or "")
    assert "draining" in (steps[2].text or "")


async def test_it_is_not_ready_while_it_takes_nothing_new_and_says_what_it_is_short_of() -> None:
    short = ""
    health = Health(dead=list, short_of=lambda: short)
    health.ready()
    assert (await asked(health, "/-/ready")).status == 200
    short = "1.0 MiB of disk are free"
    answer = await asked(health, "/-/ready")
    assert answer.status == 503
    assert short in (answer.text or "")
    assert (await asked(health, "/-/healthy")).status == 200


async def test_a_daemon_that_drains_is_healthy() -> None:
    health = Health(dead=list)
    health.draining()
    assert (await asked(health, "/-/healthy")).status == 200


async def test_a_reload_that_failed_leaves_it_ready_and_is_told_until_one_succeeds() -> None:
    health = Health(dead=list)
    health.ready()
    problem = Problem("alertbridge.yaml", 3, 5, "rules[0]", "no such key", "remove it")
    health.not_reloaded([problem], at=NOON)
    answer = await asked(health, "/-/ready")
    assert answer.status == 200
    assert (answer.text or "").splitlines() == [
        "ready",
        "the reload at 2026-01-01T12:00:00Z failed; the configuration before it goes on:",
        "alertbridge.yaml:3:5: rules[0]: no such key; remove it",
    ]
    health.reloaded()
    assert (await asked(health, "/-/ready")).text == "ready\n"
