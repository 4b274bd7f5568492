"""`alertbridge test`, run in this process."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from alertbridge.cli.main import group
from tests.support.configuration import MAIN, configure

RULES = """
rules:
  - {name: noise, when: [env = dev], drop: true}
  - {name: everything-else, send: [elven]}
tests:
  - name: A page alarms
    alert: {labels: {alertname: Down, severity: page}}
    expect: {rule: everything-else, elven: {severity: critical}}
"""
FAILING = """\
  - name: a ticket alarms
    alert: {labels: {alertname: Down, severity: ticket, token: token-of-hivel}}
    expect: {elven: {severity: low, tags: {token: x}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    configure(tmp_path, RULES)
    return tmp_path


def run(folder: Path, *arguments: str, colour: bool = False) -> Result:
    command = ["test", "--config", str(folder / "alertbridge.yaml"), *arguments]
    return CliRunner().invoke(group, command, color=colour)


def test_tests_that_pass_exit_0_with_a_line_for_each(folder: Path) -> None:
    result = run(folder)

    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "ok      A page alarms",
        "1 passed, 0 failed",
        "1 of 2 rules reached; no test reaches: noise",
    ]


def test_a_test_that_fails_exits_1_and_shows_its_place_and_no_secret(folder: Path) -> None:
    configure(folder, RULES + FAILING)
    result = run(folder)

    assert result.exit_code == 1
    assert f"FAILED  a ticket alarms ({folder / 'alertbridge.yaml'}:" in result.output
    assert "- expected: low" in result.output
    assert "token-of-hivel" not in result.output
    assert "+ actual:   ***" in result.output


def test_only_a_terminal_gets_colours(folder: Path) -> None:
    assert "\x1b[" not in run(folder).output
    assert "\x1b[32mok" in run(folder, colour=True).output


def test_a_rule_that_no_test_reaches_exits_1_where_coverage_is_required(folder: Path) -> None:
    result = run(folder, "--require-coverage", "--json")

    assert result.exit_code == 1
    told = json.loads(result.output)
    assert (told["ok"], told["failed"]) == (False, 0)
    assert told["rules"] == {"reached": ["everything-else"], "unreached": ["noise"]}


def test_run_picks_tests_by_name_in_any_case(folder: Path) -> None:
    configure(folder, RULES + FAILING)

    assert json.loads(run(folder, "--run", "a page", "--json").output)["passed"] == 1
    assert run(folder, "--run", "TICKET").exit_code == 1
    nothing = run(folder, "--run", "nowhere")
    assert (nothing.exit_code, nothing.output) == (1, 'No test has "nowhere" in its name.\n')
    assert run(folder, "--run", "a", "--require-coverage").exit_code == 2


def test_junit_is_written_beside_what_is_shown(folder: Path) -> None:
    configure(folder, RULES + FAILING)
    result = run(folder, "--junit", str(folder / "junit.xml"))

    assert result.exit_code == 1
    assert "1 passed, 1 failed" in result.output
    root = ET.fromstring((folder / "junit.xml").read_text(encoding="utf-8"))
    assert [case.get("name") for case in root.iter("testcase")] == ["A page alarms", "a ticket alarms"]
    assert len(list(root.iter("failure"))) == 1


def test_a_junit_file_that_cannot_be_written_is_said(folder: Path) -> None:
    result = run(folder, "--junit", str(folder / "absent" / "junit.xml"))

    assert result.exit_code == 1
    assert "No such file or directory; name a file that can be written" in result.output


def test_no_tests_at_all_is_good_and_said(tmp_path: Path) -> None:
    configure(tmp_path, "rules: [{name: all, send: [elven]}]")
    result = run(tmp_path)

    assert (result.exit_code, result.output.startswith("There are no tests")) == (0, True)
    assert run(tmp_path, "--require-coverage").exit_code == 1
    assert json.loads(run(tmp_path, "--json").output)["tests"] == []


def test_a_broken_test_exits_1_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "alertbridge.yaml").write_text(
        MAIN + RULES.replace("rule: everything", "rule: everthing"), encoding="utf-8"
    )
    result = run(tmp_path)

    assert result.exit_code == 1
    assert 'did you mean "everything-else"?' in result.output


def test_rule_files_have_tests_of_their_own_with_payloads_beside_them(folder: Path) -> None:
    (folder / "rules.d").mkdir()
    body = {"alerts": [{"status": "firing", "labels": {"env": "dev"}}]}
    (folder / "rules.d" / "captured.json").write_text(json.dumps(body), encoding="utf-8")
    (folder / "rules.d" / "10.yaml").write_text(
        "tests:\n  - {name: dev, payload: captured.json, expect: {rule: noise, dropped: true}}\n",
        encoding="utf-8",
    )
    configure(folder, RULES + "rules_files: [rules.d/*.yaml]\n")

    result = run(folder, "--require-coverage")

    assert result.exit_code == 0, result.output
    assert "2 passed, 0 failed\n2 of 2 rules reached\n" in result.output
