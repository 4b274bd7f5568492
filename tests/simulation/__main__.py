"""`python -m tests.simulation`: many seeds, or the story of one; see CONTRIBUTING."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable

from tests.simulation.breakages import BREAKAGES, broken
from tests.simulation.plan import plan
from tests.simulation.simulate import run, shrunk, simulate
from tests.simulation.world import Verdict

_MOST_TO_CATCH = 100  # seeds


def main() -> int:
    """0 where every law held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", help="tell the story of this one")
    parser.add_argument("--break", dest="breakage", choices=sorted(BREAKAGES), help="break the daemon so")
    parser.add_argument(
        "--power", action="store_true", help="how many seeds each breakage takes to be caught"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args()
    if asked.power:
        return _power(asked.jobs)
    if asked.breakage:
        with broken(asked.breakage):
            return _answer(asked)
    return _answer(asked)


def _answer(asked: argparse.Namespace) -> int:
    if asked.seed is not None:
        return _tell(asked.seed)
    return _many(range(asked.first, asked.first + asked.seeds), asked.jobs)


def _tell(seed: str) -> int:
    """The story of one seed; if it fails, that of the fewest steps with which it still does."""
    verdict = simulate(seed)
    if not verdict.broken:
        print("\n".join(verdict.story))
        print(_line(verdict))
        return 0
    fewest = shrunk(plan(seed), verdict)
    verdict = run(fewest)
    print("\n".join(verdict.story))
    print("What has to happen:", *(f"  {step}" for step in fewest.steps), sep="\n")
    print(_line(verdict))
    return 1


def _many(seeds: Iterable[int], jobs: int) -> int:
    began, done, requests, failed = time.perf_counter(), 0, 0, []
    with multiprocessing.Pool(jobs) as pool:
        for verdict in pool.imap_unordered(simulate, seeds):
            done, requests = done + 1, requests + verdict.requests
            if verdict.broken:
                failed.append(verdict.seed)
                print(_line(verdict), flush=True)
    pace = done / (time.perf_counter() - began)
    print(f"{done} seeds, {requests} requests, {pace:.2f} seeds/s; {len(failed)} failed {' '.join(failed)}")
    return 1 if failed else 0


def _line(verdict: Verdict) -> str:
    said = "".join(f"\n  {law}" for law in verdict.broken[:5])
    ok = f"fails:{said}\n  again: make simulate SEED={verdict.seed}" if verdict.broken else "holds"
    return f"seed {verdict.seed} ({verdict.trace[:12]}, {verdict.seconds:.1f} s) {ok}"


def _power(jobs: int) -> int:
    with multiprocessing.Pool(jobs) as pool:
        found = pool.imap(caught, BREAKAGES)
        for name, (seeds, law) in zip(BREAKAGES, found, strict=True):
            print(f"{name:50} {seeds or 'never':>6}  {law[:120]}", flush=True)
    return 0


def caught(breakage: str) -> tuple[int, str]:
    """How many seeds, from 1 on, it takes to catch a breakage, and what catches it; 0 if that many do not."""
    with broken(breakage):
        for seed in range(1, _MOST_TO_CATCH + 1):
            if laws := simulate(seed).broken:
                return seed, laws[0]
    return 0, ""


if __name__ == "__main__":
    sys.exit(main())
