"""What is told of tests that ran: to people, to programs, to CI."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import click
import pytest

from alertbridge.cli.trial import report
from alertbridge.cli.trial.compare import Difference
from alertbridge.cli.trial.run import Coverage, Result
from alertbridge.config.trial_settings import TrialSettings
from alertbridge.config.trials import Trial


def result(name: str, *differences: Difference, file: str = "a.yaml") -> Result:
    settings = TrialSettings.model_validate(
        {"name": name, "alert": {"labels": {"a": "b"}}, "expect": {"rule": "x"}}
    )
    return Result(Trial(settings, file, 7), differences, frozenset({"x"}))


WRONG = Difference("elven", "2 messages\n{a: b}\n{a: c}", "nothing is sent", "because")
ALL = Coverage(("x",), ())


def test_a_failure_is_shown_as_a_small_diff() -> None:
    text = click.unstyle(report.as_text([result("good"), result("bad", WRONG)], ALL))

    assert text.splitlines() == [
        "ok      good",
        "FAILED  bad (a.yaml:7)",
        "          elven:",
        "            - expected: 2 messages",
        "            -   {a: b}",
        "            -   {a: c}",
        "            + actual:   nothing is sent",
        "              because",
        "1 passed, 1 failed",
        "1 of 1 rules reached",
    ]


def test_what_could_steer_a_terminal_is_shown_as_an_escape() -> None:
    text = report.as_text([result("a\x1b[2J", Difference("b\x1b", "c\x1b", "d\x1b"))], ALL)

    assert "\x1b" not in click.unstyle(text)


def test_rules_that_no_test_reaches_are_named() -> None:
    text = click.unstyle(report.coverage_line(Coverage(("x",), ("y", "z"))))

    assert text == "1 of 3 rules reached; no test reaches: y, z"


def test_junit_has_a_suite_for_each_file_and_holds_no_illegal_character() -> None:
    several = [result("good"), result("bad\x00\ud800", WRONG), result("other", file="b.yaml")]

    root = ET.fromstring(report.as_junit(several))

    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "3", "1")
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root] == [
        ("a.yaml", "2", "1"),
        ("b.yaml", "1", "0"),
    ]
    bad = root[0][1]
    assert (bad.get("name"), bad.get("line")) == ("bad\ufffd\ufffd", "7")
    failure = bad.find("failure")
    assert failure is not None
    assert failure.get("message") == "elven"
    assert "+ actual:   nothing is sent" in (failure.text or "")


@pytest.mark.parametrize("good", [True, False])
def test_json_says_what_the_exit_status_says(*, good: bool) -> None:
    told = report.as_json([result("good"), result("bad", WRONG)], ALL, good=good)

    assert isinstance(told, dict)
    assert (told["ok"], told["passed"], told["failed"]) == (good, 1, 1)
    assert told["rules"] == {"reached": ["x"], "unreached": []}
