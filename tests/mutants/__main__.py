"""Break the product, one breakage at a time, in a copy of it, and see that the tests named for it fail.

`make mutants` runs all, `make mutants ONLY=name` those whose name holds that. First everything runs unbroken: a test that
fails anyway proves nothing. Exit code 1 where a breakage goes unnoticed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.breakages import BREAKAGES, Breakage

ROOT = Path(__file__).parents[2]
LONGEST = 600  # seconds
SOME_FAILED = 1  # of pytest's exit codes; any other but 0 means that nothing was tested


def copy(folder: Path) -> Path:
    """The product and its tests, to be broken."""
    target = folder / "broken"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "*.db", "dist")
    shutil.copytree(ROOT, target, ignore=left_out)
    return target


def run(place: Path, tests: Iterable[str]) -> tuple[int, str]:
    """Run `tests` at `place` until one fails; pytest's exit code, and what it printed."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(place / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KILLS": "10",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *tests]
    try:
        done = subprocess.run(
            command, cwd=place, env=environ, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:  # hanging is noticed too, by whoever waits for it
        return SOME_FAILED, f"no end within {LONGEST} s"
    return done.returncode, done.stdout + done.stderr


def notice(breakage: Breakage) -> tuple[Breakage, bool, str]:
    """Whether the tests named for it notice `breakage`, and by what, or else what they printed."""
    with tempfile.TemporaryDirectory(prefix="alertbridge-mutant-") as folder:
        place = copy(Path(folder))
        file = place / breakage.file
        text = file.read_text(encoding="utf-8")
        file.write_text(breakage.applied(text), encoding="utf-8")
        code, printed = run(place, breakage.tests)
    if code != SOME_FAILED:
        return breakage, False, printed[-2000:]
    failed = [line.split(" - ")[0] for line in printed.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return breakage, True, "; ".join(failed) or printed.strip().splitlines()[-1]


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for and print what came of it."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of the names of the breakages to try")
    wanted = parser.parse_args(arguments).only
    chosen = [one for one in BREAKAGES if not wanted or any(part in one.name for part in wanted)]
    if not chosen:
        print(f"no breakage is called so; there are: {', '.join(one.name for one in BREAKAGES)}")
        return 2
    tests = sorted({test for one in chosen for test in one.tests})
    print(f"unbroken first: {len(tests)} files and tests", flush=True)
    code, printed = run(ROOT, tests)
    if code:
        print(printed[-4000:])
        return 2
    began, missed = time.perf_counter(), []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for number, (one, noticed, how) in enumerate(pool.map(notice, chosen), start=1):
            print(f"{number:3}/{len(chosen)} {'noticed' if noticed else 'MISSED '} {one.name}: {one.what}")
            print(f"          {how}", flush=True)
            if not noticed:
                missed.append(one.name)
    print(
        f"{len(chosen)} breakages, {len(chosen) - len(missed)} noticed, {time.perf_counter() - began:.0f} s"
    )
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
