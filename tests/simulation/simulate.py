"""One seed from beginning to end."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
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


def shrunk(planned: Plan, verdict: Verdict, *, tries: int = 60) -> Plan:
    """The plan with as few steps as still break the same law: larger pieces are left out first."""
    law = _gist(verdict)
    size = max(1, len(planned.steps) // 2)
    while tries > 0:
        start, progress = 0, False
        while start < len(planned.steps) and tries > 0:
            fewer = replace(planned, steps=planned.steps[:start] + planned.steps[start + size :])
            tries -= 1
            if _gist(run(fewer)) == law:
                planned, progress = fewer, True
            else:
                start += size
        if size == 1 and not progress:
            break
        size = max(1, size // 2)
    return planned


def _gist(verdict: Verdict) -> str:
    """The law that was broken first, without the names and numbers of the case."""
    return " ".join(word for word in verdict.broken[0].split() if word.isalpha()) if verdict.broken else ""
