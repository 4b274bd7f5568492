"""What `serve` reads from its surroundings."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from alertbridge.cli import example
from alertbridge.cli.options import with_server
from alertbridge.cli.serve import watchdog_interval
from alertbridge.config.load import load


@pytest.mark.parametrize(
    ("microseconds", "pid", "interval"),
    [
        ("60000000", "", timedelta(seconds=30)),
        pytest.param("60000000", str(os.getpid()), timedelta(seconds=30), id="of this process"),
        ("60000000", "1", None),
        ("0", "", None),
        ("", "", None),
        ("soon", "", None),
    ],
)
def test_the_watchdog_is_fed_at_half_of_what_it_waits(
    microseconds: str, pid: str, interval: timedelta | None
) -> None:
    assert watchdog_interval(microseconds, pid) == interval


def test_another_address_replaces_the_configured_one_and_nothing_else(tmp_path: Path) -> None:
    for name, text in example.configuration().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    configuration = load(tmp_path / "alertbridge.yaml", environ={})

    other = with_server(configuration, listen="[::1]:0")

    assert (other.settings.server.host, other.settings.server.port) == ("::1", 0)
    assert other.settings.destinations == configuration.settings.destinations
    assert other.rulebook is configuration.rulebook
    assert configuration.settings.server.port == 9797
