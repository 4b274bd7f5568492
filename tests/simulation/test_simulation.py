"""The daemon as it is wired, in a world that one seed decides: `make simulate` runs as many as are wanted."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.simulation.breakages import broken
from tests.simulation.plan import plan
from tests.simulation.simulate import run, shrunk, simulate
from tests.support.daemon import surroundings

_SEEDS = int(os.environ.get("SEEDS", "5"))
_BUSY = "254"


@pytest.mark.parametrize("seed", range(1, _SEEDS + 1))
def test_every_law_holds_whatever_happens(seed: int) -> None:
    verdict = simulate(seed)
    assert not verdict.broken, f"make simulate SEED={seed}\n" + "\n".join(verdict.broken)


def test_a_seed_is_the_same_run_again_also_in_another_process() -> None:
    here = simulate(_BUSY)
    assert here.requests > 20
    assert here.lives > 1
    program = f"from tests.simulation.simulate import simulate; print(simulate({_BUSY!r}).trace)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**surroundings(), "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == here.trace


def test_another_seed_is_another_run() -> None:
    assert plan(1) != plan(2)


@pytest.mark.parametrize(
    ("breakage", "seeds", "said"),
    [
        ("acknowledged before the commit", (1,), "is not on disk"),
        ("what a crash interrupted is not recovered", (5,), "not at rest"),
        ("sent once more after it was delivered", (2,), "knew to be delivered"),
        ("what may land late is not thought of", (7,), "but nothing of it fires"),
        ("a clock set forward is believed", (2,), "allowed"),
    ],
)
def test_a_daemon_that_is_broken_on_purpose_is_caught(
    breakage: str, seeds: tuple[int, ...], said: str
) -> None:
    with broken(breakage):
        assert any(said in law for seed in seeds for law in simulate(seed).broken)


def test_what_has_to_happen_for_a_failure_is_found_among_all_that_happened() -> None:
    planned = plan(2)
    with broken("sent once more after it was delivered"):
        verdict = run(planned)
        fewest = shrunk(planned, verdict, tries=5)
        assert run(fewest).broken
    assert len(fewest.steps) < len(planned.steps)
    assert run(replace(fewest, steps=())).broken == ()
