"""The breakages that `make mutants` makes fit the product as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutants.breakages import BREAKAGES, Breakage

ROOT = Path(__file__).parents[2]


def test_there_are_many_and_each_has_a_name() -> None:
    names = [breakage.name for breakage in BREAKAGES]
    assert len(names) == len(set(names))
    assert len(names) >= 25


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_a_breakage_can_be_made_and_names_tests_that_are_there(breakage: Breakage) -> None:
    text = (ROOT / breakage.file).read_text(encoding="utf-8")
    assert breakage.applied(text) != text
    assert breakage.tests
    for test in breakage.tests:
        place, _, name = test.partition("::")
        assert (ROOT / place).exists(), test
        if name:
            said = (ROOT / place).read_text(encoding="utf-8")
            assert re.search(rf"^(async )?def {re.escape(name)}\(", said, re.MULTILINE), test
