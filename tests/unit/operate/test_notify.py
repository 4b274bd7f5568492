from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from alertbridge.operate.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The service manager's end, and its address as `$NOTIFY_SOCKET` gives it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@alertbridge-{uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0", 1) if request.param == "abstract" else name)
        listening.settimeout(5)
        yield name, listening


def test_the_manager_is_told_of_every_step(manager: tuple[str, socket.socket]) -> None:
    name, listening = manager
    notifier = Notifier(name)
    notifier.ready("serving on 127.0.0.1:9797")
    notifier.status("3 deliveries wait")
    notifier.watchdog()
    notifier.stopping()
    assert [listening.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=serving on 127.0.0.1:9797",
        b"STATUS=3 deliveries wait",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_a_status_is_one_line_and_says_nothing_else(manager: tuple[str, socket.socket]) -> None:
    name, listening = manager
    Notifier(name).status("paused\nSTOPPING=1")
    assert listening.recv(4096) == b"STATUS=paused STOPPING=1"


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_nothing_happens(address: str | None) -> None:
    with capture_logs() as logs:
        notifier = Notifier(address)
        notifier.ready("serving")
        notifier.stopping()
    assert logs == []


def test_a_manager_that_is_gone_is_logged_and_no_error(tmp_path: Path) -> None:
    with capture_logs() as logs:
        Notifier(str(tmp_path / "gone")).ready("serving")
    assert [log["event"] for log in logs] == ["notify.failed"]


def test_a_manager_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening, capture_logs() as logs:
        listening.bind(name)
        notifier = Notifier(name)
        for _ in range(2000):
            notifier.watchdog()
    assert "notify.failed" in {log["event"] for log in logs}
