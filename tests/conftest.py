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
