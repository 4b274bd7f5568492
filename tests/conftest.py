from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(autouse=True)
def _program(request: pytest.FixtureRequest) -> None:
    """Skip a test whose program is not on this machine, by name; under CI=true that is a failure."""
    for marker in request.node.iter_markers("program"):
        (name,) = marker.args
        if shutil.which(name) is not None:
            continue
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed, and under CI=true nothing is skipped for that")
        pytest.skip(f"{name} is not installed (Debian: apt-get install {name})")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A test has the same name in every process: what gzip makes holds the time."""
    return argname if isinstance(val, bytes) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have counted with `record_property`; processes of their own have no terminal."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    counts = [
        (report.nodeid, value)
        for report in reports
        for name, value in report.user_properties
        if name == "counts"
    ]
    if counts:
        terminalreporter.section("counts")
    for place, value in counts:
        terminalreporter.line(f"{place}: {value}")
