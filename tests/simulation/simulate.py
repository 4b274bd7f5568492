"""One seed from beginning to end."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from tests.simulation.happenings import live
from tests.simulation.plan import Plan, plan
from tests.simulation.world import Verdict, World

_MEMORY = Path("/dev/shm")


def simulate(seed: int | str) -> Verdict:
    """What becomes of a seed."""
    return run(plan(seed))


def run(planned: Plan) -> Verdict:
    """What becomes of a plan. Files lie in memory where the machine allows it: nothing here is about syncs."""
    began = time.perf_counter()
    folder = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        world = World(plan=planned, folder=folder)
        try:
            world.run(live)
        except Exception as error:  # noqa: BLE001 - whatever ends the run is what was found
            world.violate(f"the run ended: {type(error).__name__}: {error}")
        return Verdict(
            seed=planned.seed,
            broken=tuple(world.broken),
            story=tuple(world.story),
            requests=sum(len(vendor.sent) for vendor in world.vendors.values()),
            lives=len(world.lives),
            seconds=time.perf_counter() - began,
        )
    finally:
        shutil.rmtree(folder)
