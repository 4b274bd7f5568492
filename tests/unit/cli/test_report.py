"""How problems are shown."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from alertbridge.cli import report
from alertbridge.errors import Problem


@pytest.fixture
def rule_file(tmp_path: Path) -> Path:
    path = tmp_path / "20-payments.yaml"
    path.write_text("rules:\n  - name: a\n    when: [a => b]\n", encoding="utf-8")
    return path


def test_a_problem_is_shown_with_its_place_its_remedy_and_the_line(rule_file: Path) -> None:
    problem = Problem(str(rule_file), 3, 14, "rules[0].when[0]", "unknown operator", "did you mean =~?")

    shown = report.text([problem], main=Path("alertbridge.yaml"))

    assert "\x1b" in shown, "styled; click takes the colours out where there is no terminal"
    assert click.unstyle(shown).splitlines() == [
        f"{rule_file}:3:14: rules[0].when[0]: unknown operator; did you mean =~?",
        "     3 |     when: [a => b]",
        "       |              ^",
    ]


def test_a_warning_says_that_it_is_one() -> None:
    problem = Problem("alertbridge.yaml", 0, 0, "rules", "no catch-all", "add one", "warning")

    assert click.unstyle(report.text([problem], main=Path("alertbridge.yaml"))) == (
        "alertbridge.yaml: warning: rules: no catch-all; add one"
    )


def test_a_file_that_cannot_be_read_any_more_is_no_second_problem(tmp_path: Path) -> None:
    problem = Problem(str(tmp_path / "gone.yaml"), 3, 1, "rules", "wrong")

    assert len(report.text([problem], main=Path("a")).splitlines()) == 1


def test_github_is_told_in_its_own_words() -> None:
    problem = Problem("a,b.yaml", 3, 14, "rules[0]", "50% wrong", "mend\nit", "warning")

    assert report.github([problem]) == (
        "::warning file=a%2Cb.yaml,line=3,col=14::rules[0]: 50%25 wrong; mend%0Ait"
    )
