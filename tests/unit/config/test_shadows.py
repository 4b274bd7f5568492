"""A rule that can never match is a mistake, named with its place and with the rules that hide it."""

from __future__ import annotations

from pathlib import Path

import pytest

from alertbridge.config.load import load
from alertbridge.errors import ConfigurationError

MAIN = """\
sources:
  prod: {type: alertmanager}
destinations:
  elven: {type: elven, url: "https://elven.example/hook"}
rules_files: [rules.d/*.yaml]
"""


def mistakes(folder: Path, main: str = MAIN, **files: str) -> list[str]:
    """The problems, with paths from `folder` on."""
    (folder / "rules.d").mkdir()
    for name, text in files.items():
        (folder / "rules.d" / f"{name}.yaml").write_text(text, encoding="utf-8")
    (folder / "main.yaml").write_text(main, encoding="utf-8")
    try:
        load(folder / "main.yaml", environ={})
    except ConfigurationError as error:
        return [str(problem).replace(f"{folder}/", "") for problem in error.problems]
    return []


def test_a_shadowed_rule_is_named_with_the_one_that_hides_it_in_another_file(tmp_path: Path) -> None:
    first = "rules:\n  - name: noise\n    when: env =~ dev|test\n    drop: true\n"
    second = "rules:\n  - name: dev\n    when: [env = dev, team = web]\n    send: [elven]\n  - {name: rest, send: [elven]}\n"
    assert mistakes(tmp_path, a=first, b=second) == [
        (
            'rules.d/b.yaml:2:11: rules[0].name: rule "dev" can never match: '
            'rule "noise" (rules.d/a.yaml:2) takes every alert that it is for; '
            'move it above "noise", narrow that one, or remove this rule'
        )
    ]


def test_rules_that_hide_one_together_are_all_named(tmp_path: Path) -> None:
    rules = """\
rules:
  - {name: loud, when: severity = page, send: [elven]}
  - {name: quiet, when: severity != page, drop: true}
  - {name: rest, send: [elven]}
"""
    assert mistakes(tmp_path, a=rules) == [
        (
            'rules.d/a.yaml:4:12: rules[2].name: rule "rest" can never match: '
            'rules "loud" (rules.d/a.yaml:2) and "quiet" (rules.d/a.yaml:3) together take every alert that it is for; '
            'move it above "loud", narrow one of them, or remove this rule'
        )
    ]


def test_of_many_rules_that_hide_one_together_five_are_named(tmp_path: Path) -> None:
    each = "".join(f"  - {{name: r{n}, when: severity = s{n}, drop: true}}\n" for n in range(7))
    rules = f"rules:\n{each}  - {{name: last, when: severity =~ s0|s1|s2|s3|s4|s5|s6, drop: true}}\n"
    (found,) = mistakes(tmp_path, a=rules)
    assert '"r4" (rules.d/a.yaml:6) and 2 more together take every alert' in found


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (
            "[severity = page, team = a, severity = warning]",
            'severity = "page" and severity = "warning" at once',
        ),
        ("[{not: {any: [team = a, team != a]}}]", 'not: any: [team = "a", team != "a"]'),
    ],
)
def test_a_condition_that_no_alert_fulfils_is_named(tmp_path: Path, when: str, said: str) -> None:
    rules = f"rules:\n  - name: odd\n    when: {when}\n    drop: true\n  - {{name: rest, send: [elven]}}\n"
    assert mistakes(tmp_path, a=rules) == [
        (
            f'rules.d/a.yaml:3:5: rules[0].when: rule "odd" can never match: no alert fulfils {said}; '
            "write alternatives under `any:`, or remove the rule"
        )
    ]


def test_a_mistake_elsewhere_hides_no_shadow_but_one_in_a_rule_does(tmp_path: Path) -> None:
    rules = "rules:\n  - {name: all, drop: true}\n  - {name: rest, drop: true}\n"
    wrong = MAIN + "server: {lissten: a}\n"
    found = mistakes(tmp_path, wrong, a=rules)
    assert [problem.split(": ")[1] for problem in found] == ["server.lissten", "rules[1].name"]
    (tmp_path / "rules.d" / "a.yaml").unlink()
    (tmp_path / "rules.d").rmdir()
    found = mistakes(
        tmp_path,
        a=rules.replace("drop: true}\n  - {name: rest", "when: a => b, drop: true}\n  - {name: rest"),
    )
    assert [problem.split(": ")[1] for problem in found] == ["rules[0].when"]


def test_rules_that_can_all_match_are_no_mistake(tmp_path: Path) -> None:
    rules = """\
rules:
  - {name: audit, continue: true, send: [elven]}
  - {name: page, when: [severity = page, team != web], send: [elven]}
  - {name: pages, when: severity =~ page|critical, send: [elven]}
  - {name: rest, send: [elven]}
"""
    assert mistakes(tmp_path, a=rules) == []


def test_what_a_rule_sets_between_two_and_when_one_is_active_is_no_reason_to_refuse(tmp_path: Path) -> None:
    rules = """\
rules:
  - {name: web, when: team = web, send: [elven]}
  - {name: tag, when: env = dev, set: {labels: {team: web}}}
  - {name: web-too, when: team = web, send: [elven]}
  - {name: night, active: {hours: 22:00-06:00}, drop: true}
  - {name: rest, send: [elven]}
"""
    assert mistakes(tmp_path, a=rules) == []
