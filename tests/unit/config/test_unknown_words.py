"""Words in rules that nothing explains are warnings, where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.configuration import configure

MAIN = """
sources:
  prod: {type: alertmanager}
destinations:
  elven: {type: elven, url: "http://127.0.0.1:9/elven/token-of-elven"}
  hivel: {type: hivel, token: token-of-hivel}
severities: {P1: critical}
services:
  checkout: {repo_url: "https://github.com/acme/checkout"}
rules:
"""
REST = "  - {name: rest, send: [elven]}\n"
BOTH = "send: [elven, hivel]"


def warned(folder: Path, rules: str, main: str = MAIN) -> list[str]:
    """Each warning's field, the word that it names, and its remedy."""
    found = configure(folder, f"{rules}{REST}", main).warnings
    assert {warning.level for warning in found} <= {"warning"}
    return [f"{warning.field}: {warning.problem.split(chr(34))[1]}" for warning in found]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("when: [service = chekout], send: [hivel]", ["rules[0].when[0]: chekout"]),
        ("when: [service = checkout], send: [hivel]", []),
        ("when: ['service =~ checkout|mailer'], send: [hivel]", ["rules[0].when[0]: mailer"]),
        (
            "when: [{any: [[team = a, service = b], env = c]}], send: [hivel]",
            ["rules[0].when[0].any[0][1]: b"],
        ),
        ("when: 'service = b', send: [hivel]", ["rules[0].when: b"]),
        ("when: ['service =~ c.*'], send: [hivel]", []),
        ("when: [service != b], send: [hivel]", []),
        ("when: [{not: service = b}], send: [hivel]", []),
        ("when: ['service = \"\"'], send: [hivel]", []),
        ("when: [annotations.service = b], send: [hivel]", []),
        ("when: [service = b], send: [elven]", []),  # nothing is looked up for Elven
        (
            "when: [service = b], send: {hivel: {repo_url: 'https://x.example/a/b', pr_number: 1, affected_systems: b}}",
            [],
        ),
        ("when: [service = b], drop: true", []),
        ("when: [a = b], service: chekout, send: [elven]", ["rules[0].service: chekout"]),
        ("when: [service = b], service: checkout, send: [hivel]", []),
        ("when: [service = b], service: '{{ labels.app }}', send: [hivel]", []),
        ("when: [service = b], set: {labels: {service: checkout}}, send: [hivel]", []),
    ],
)
def test_a_service_that_the_catalogue_does_not_hold(tmp_path: Path, rule: str, expected: list[str]) -> None:
    assert warned(tmp_path, f"  - {{name: a, {rule}}}\n") == expected


def test_without_a_catalogue_no_service_is_missing_from_it(tmp_path: Path) -> None:
    main = MAIN.replace("  checkout: {", "  # checkout: {")
    assert warned(tmp_path, "  - {name: a, when: [service = b], service: c, send: [hivel]}\n", main) == []


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("when: [severity = p2], send: [elven]", ["rules[0].when[0]: p2"]),
        ("when: [severity = p1], send: [elven]", []),
        ("when: [severity = Warning], send: [elven]", []),
        ("when: ['severity =~ \"(p1|p2)\"', a = b], send: [elven]", ["rules[0].when[0]: p2"]),
        ("when: [severity = p2], send: {elven: {severity: high}}", []),
        ("when: [severity = p2], set: {labels: {severity: high}}, send: [elven]", []),
        ("when: [severity = p2], send: {elven: {severity: high}, hivel: }", ["rules[0].when[0]: p2"]),
        ("when: [severity = p2], drop: true", []),
        ("when: [severity != p2], send: [elven]", []),
        ("when: [{not: {any: [severity = p2]}}], send: [elven]", []),
        ("when: ['severity =~ \"p.+\"'], send: [elven]", []),
    ],
)
def test_a_severity_that_means_nothing_where_it_would_be_sent(
    tmp_path: Path, rule: str, expected: list[str]
) -> None:
    assert warned(tmp_path, f"  - {{name: a, {rule}}}\n") == expected


def test_a_severity_is_named_where_it_stands_first(tmp_path: Path) -> None:
    rules = "".join(
        f"  - {{name: r{number}, when: [team = t{number}, severity = {word}], send: [elven]}}\n"
        for number, word in enumerate(["p2", "P2", "p3"])
    )
    assert warned(tmp_path, rules) == ["rules[0].when[1]: p2", "rules[2].when[1]: p3"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("when: [source = prdo], drop: true", ["rules[0].when[0]: prdo"]),
        ("when: [source = prod], drop: true", []),
        ("when: [source != prdo], drop: true", []),
        ("when: [labels.source = prdo], drop: true", []),
    ],
)
def test_a_source_that_is_not_there(tmp_path: Path, rule: str, expected: list[str]) -> None:
    assert warned(tmp_path, f"  - {{name: a, {rule}}}\n") == expected


def test_a_warning_points_at_the_word_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        "rules:\n  - name: a\n    when:\n      - team = web, severity = p2\n    send: [elven]\n",
        encoding="utf-8",
    )
    main = MAIN.replace("rules:\n", "rules_files: [more.yaml]\nrules: []\n")
    late, word = configure(tmp_path, "", main).warnings
    assert (late.file, late.line, late.field) == (str(tmp_path / "more.yaml"), 2, "rules[0]")
    assert (word.file, word.line, word.column) == (str(tmp_path / "more.yaml"), 4, 32)
    assert word.remedy == "add under `severities:` what it means, such as `p2: high`"
