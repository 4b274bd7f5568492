"""A body of many alerts costs as much for each of them as a body of few: what is counted is steps, not time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from alertbridge.store.store import Store
from tests.integration.test_pipeline import House
from tests.support.clock import NOON, ManualClock
from tests.support.configuration import MAIN

MINUTE = timedelta(minutes=1)
FEW, MANY = 50, 1000
RULES = {
    "each an incident": "rules: [{name: all, send: [elven, hivel]}]\n",
    "one incident": 'rules: [{name: all, key: "{{ labels.job }}", send: [elven, hivel]}]\n',
    "told again": "rules: [{name: all, resend: change, send: [elven, hivel]}]\n",
}
COLLAPSING = MAIN.replace('token-of-elven"', 'token-of-elven", collapse: true')


def body(series: str, count: int, status: str, text: str) -> bytes:
    alerts = [
        {
            "status": status,
            "labels": {"alertname": "Load", "job": series, "instance": f"{number}", "severity": "low"},
            "annotations": {"summary": text},
            "startsAt": NOON.isoformat(),
            "endsAt": (NOON + MINUTE).isoformat() if status == "resolved" else "0001-01-01T00:00:00Z",
            "fingerprint": f"{series}-{number}",
        }
        for number in range(count)
    ]
    return json.dumps({"version": "4", "alerts": alerts}).encode()


class Counted:
    """Counts the statements of each batch that is decided, and the calls of functions in between."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements = self.calls = 0
        decide_batch: Callable[[Connection, int], list[Any]] = house.decider._decide_batch
        monkeypatch.setattr(house.decider, "_decide_batch", lambda *given: self._watch(decide_batch, *given))

    def _watch(
        self, decide_batch: Callable[[Connection, int], list[Any]], connection: Connection, most: int
    ) -> list[Any]:
        event.listen(connection, "before_cursor_execute", self._statement)
        before = sys.getprofile()
        sys.setprofile(self._step)
        try:
            return decide_batch(connection, most)
        finally:
            sys.setprofile(before)
            event.remove(connection, "before_cursor_execute", self._statement)

    def _statement(self, *_: object) -> None:
        self.statements += 1

    def _step(self, _frame: object, kind: str, _argument: object) -> None:
        self.calls += kind == "call"

    def take(self) -> tuple[int, int]:
        """What was counted since the last time."""
        taken, self.statements, self.calls = (self.statements, self.calls), 0, 0
        return taken


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
async def test_an_alert_among_many_costs_no_more_than_among_few(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str
) -> None:
    house = House(store, tmp_path, ManualClock())
    house.use(rules, COLLAPSING)
    counted = Counted(house, monkeypatch)

    async def story(series: str, count: int) -> list[tuple[int, int]]:
        """Statements and calls as they open, repeat with another text, and end."""
        steps = []
        for status, text in (("firing", "one"), ("firing", "two"), ("resolved", "two")):
            house.clock.advance(MINUTE)
            counted.take()
            await house.hear(body(series, count, status, text))
            steps.append(counted.take())
        return steps

    await story("warm", FEW)
    few, many = await story("few", FEW), await story("many", MANY)

    for (statements, calls), (more_statements, more_calls) in zip(few, many, strict=True):
        ratio = (more_calls / MANY) / (calls / FEW)
        print(f"statements {statements} and {more_statements}, calls for each alert: ratio {ratio:.2f}")
        assert more_statements == statements
        assert ratio < 1.1
