from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from alertbridge.deliver.transport import Transport
from alertbridge.metrics import Metrics
from alertbridge.parts import courier
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.configuration import configure

MAIN = """
sources: {prod: {type: alertmanager}}
destinations:
  plain: {type: elven, url: "http://127.0.0.1:9/elven/token-of-elven"}
  told: {type: elven, url: "http://127.0.0.1:9/elven/token-of-elven", landing_time: 45s, collapse: true}
  hivel: {type: hivel, token: token-of-hivel}
"""


@pytest.mark.parametrize(
    ("name", "landing_time", "collapse"), [("plain", 30, False), ("told", 45, True), ("hivel", 0, False)]
)
def test_what_is_set_for_a_destination_reaches_its_courier(
    tmp_path: Path, name: str, landing_time: int, *, collapse: bool
) -> None:
    settings = configure(tmp_path, "rules: [{name: all, send: [plain]}]", MAIN).settings
    made = courier(
        name,
        settings.destinations[name],
        store=cast("Store", None),
        transport=Transport,
        clock=ManualClock(),
        metrics=Metrics(),
        chance=lambda: 0.5,
        clean=str,
        new_id=lambda: "",
    )
    assert (made.policy.landing_time, made.policy.collapse) == (timedelta(seconds=landing_time), collapse)
