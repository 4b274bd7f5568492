"""Random lives of the relay, on a real database, against a plain reference model and against laws that need none.

`make soak STEPS=1000000` lives longer; `SEED=…` lives the same lives again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from random import Random, SystemRandom
from time import monotonic

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from typing_extensions import override

from tests.support.incident_laws import hold
from tests.support.incident_life import Life, any_rules
from tests.support.incident_machine import Machine

STEPS = int(os.environ.get("STEPS", "1500"))
SEED = int(os.environ.get("SEED", "0")) or SystemRandom().randrange(1, 10**9)
A_LIFE = 250  # steps
randoms = st.randoms(use_true_random=False)


class Lives(RuleBasedStateMachine):
    """Hypothesis chooses, and shrinks what fails to the fewest steps."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.folder / "relay.db")
        self.machine = Machine(self.folder / "relay.db")
        self.life = Life(self.machine)
        self.machine.reload(any_rules(Random(1)))

    @rule(random=randoms)
    def hear(self, random: Random) -> None:
        self.life.hear(random)

    @rule(random=randoms)
    def watch(self, random: Random) -> None:
        self.life.watch(random)

    @rule(random=randoms)
    def hear_again(self, random: Random) -> None:
        self.life.hear_again(random)

    @rule(random=randoms)
    def hear_twice(self, random: Random) -> None:
        self.life.hear_twice(random)

    @rule(random=randoms)
    def wait(self, random: Random) -> None:
        self.life.wait(random)

    @rule(random=randoms)
    def reload(self, random: Random) -> None:
        self.life.reload(random)

    @rule(random=randoms)
    def forget(self, random: Random) -> None:
        self.life.forget(random)

    @rule(random=randoms)
    def restart(self, random: Random) -> None:
        self.life.restart(random)

    @rule(random=randoms)
    def outage(self, random: Random) -> None:
        self.life.outage(random)

    @override
    def teardown(self) -> None:
        try:
            finish(self.machine)
        finally:
            self.machine.close()
            shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database: migrating one takes longer than a life."""
    path = tmp_path_factory.mktemp("template") / "relay.db"
    Machine(path).close()
    return path


def finish(machine: Machine) -> None:
    """Everything is decided, everybody is told, and the laws hold."""
    machine.down.clear()
    machine.decide()
    machine.closed()
    hold(machine)


@pytest.mark.timeout(600)  # of processor time it takes ten seconds
def test_random_steps_agree_with_the_plain_model(template: Path) -> None:
    Lives.template = template
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(0)
def test_long_lives_agree_with_the_plain_model(template: Path, tmp_path: Path) -> None:
    print(f"{STEPS} steps, seed {SEED}")
    begun, done = monotonic(), 0
    for number in range(-(-STEPS // A_LIFE)):
        steps = min(A_LIFE, STEPS - done)
        path = tmp_path / "relay.db"
        shutil.copy(template, path)
        try:
            live(Machine(path), Random(SEED * 1_000_003 + number), steps)
        except Exception as error:
            error.add_note(f"again: make soak SEED={SEED} STEPS={done + steps}")
            raise
        for file in tmp_path.iterdir():
            file.unlink()
        done += steps
        if number % 40 == 39:
            print(f"{done} steps, {done / (monotonic() - begun):.0f} a second", flush=True)
    print(f"{done} steps agree, seed {SEED}")


def live(machine: Machine, random: Random, steps: int) -> None:
    """One life, from an empty database to the day when all has been said."""
    life = Life(machine)
    try:
        machine.reload(any_rules(random))
        for _ in range(steps):
            life.step(random)
        finish(machine)
    finally:
        machine.close()
