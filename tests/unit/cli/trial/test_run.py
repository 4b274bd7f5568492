"""Tests of rules are heard, decided and judged as the daemon would, on a clock of their own."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from alertbridge.cli.trial.compare import Difference
from alertbridge.cli.trial.run import Result, cover, run
from alertbridge.config.load import Configuration
from alertbridge.parts import bridge
from tests.support.configuration import MAIN, configure

RULES = """
rules:
  - {name: noise, when: [env = dev], drop: true}
  - {name: tag-it, when: [team = payments], continue: true, send: [elven]}
  - name: windowed
    when: [alertname = Windowed]
    key: "{{ labels.cluster }}/{{ labels.alertname }}"
    reopen_window: 10m
    send: [elven, hivel]
  - name: chatty
    when: [alertname = Chatty]
    key: "{{ labels.cluster }}/{{ labels.alertname }}"
    resend: change
    send: [elven, hivel]
  - {name: brief, when: [alertname = Brief], min_duration: 5m, send: [hivel]}
  - name: everything-else
    when: [alertname != Unknown]
    send:
      elven: {title: "{{ annotations.summary }}", tags: {team: "{{ labels.team }}", env: prod}}
      hivel: {affected_systems: [a, b]}
"""
CAPTURED = Path("tests/payloads/alertmanager").resolve()


def load(folder: Path, *tests: str, main: str = MAIN) -> Configuration:
    written = "".join(indent(dedent(f"- name: a test\n  {text}"), "  ") for text in tests)
    return configure(folder, f"{dedent(RULES)}tests:\n{written}", main=main)


def results(configuration: Configuration) -> list[Result]:
    return [run(bridge(configuration), trial, read=Path.read_bytes) for trial in configuration.trials]


def differences(folder: Path, test: str, main: str = MAIN) -> list[Difference]:
    (result,) = results(load(folder, test, main=main))
    return list(result.differences)


def heard(alert: str, expect: str) -> str:
    return f"alert: {alert}\n  expect: {expect}\n"


def sequence(*steps: str, expect: str | None = None) -> str:
    lines = "".join(f"  - {step}\n" for step in steps)
    return f"sequence:\n{lines}" + (f"  expect: {expect}\n" if expect else "")


DOWN = "{labels: {alertname: Down, severity: page, service: checkout}, annotations: {summary: it is down}}"
WINDOWED = "{labels: {alertname: Windowed, cluster: eu, instance: a, service: checkout, severity: page}}"
OTHER = "{labels: {alertname: Windowed, cluster: eu, instance: b, service: checkout, severity: low}}"
BRIEF = "{labels: {alertname: Brief, service: checkout}}"


@pytest.mark.parametrize(
    "test",
    [
        heard(DOWN, "{rule: everything-else, dropped: false, unmatched: false}"),
        heard("{labels: {team: payments}}", "{rule: [tag-it, everything-else]}"),
        heard("{labels: {env: dev}}", "{rule: noise, dropped: true, elven: none, hivel: []}"),
        heard("{labels: {alertname: Unknown}}", "{unmatched: true, rule: [], elven: none}"),
        heard(DOWN, "{elven: {action: alarmed, severity: critical, title: it is down}, hivel: none}"),
        heard(DOWN, "{elven: [{tags: [{name: env, value: prod}]}]}"),
        heard("{labels: {team: red}}", "{elven: {tags: {team: red}}}"),
        heard("{labels: {team: red}, fingerprint: abc}", "{elven: {external_aggregate_key: prod/abc}}"),
        heard("{labels: {team: red}, status: resolved}", "{elven: {action: resolved}, hivel: none}"),
        "alerts: [{labels: {a: b}}, {labels: {a: c}}]\n  expect: {elven: [{action: alarmed}, {action: alarmed}]}\n",
        sequence(
            f"{{at: 0s, alert: {DOWN}}}",
            "{at: 10m, resolve: all}",
            expect="{elven: [{action: alarmed}, {action: resolved}], hivel: {pr_number: 44, affected_systems: [a, b]}}",
        ),
        sequence(
            f"{{alert: {DOWN}, expect: {{elven: {{action: alarmed}}}}}}",
            "{at: 1h, expect: {elven: none, hivel: none}}",
            "{at: +1m, alert: {status: resolved}, expect: {elven: {action: resolved}}}",
            expect='{hivel: {reported_time: "2026-01-01T00:00:00Z", resolution_time: "2026-01-01T01:01:00Z"}}',
        ),
        sequence(
            "{alert: {labels: {alertname: Down}}}",
            "{at: 10m, resolve: all}",
            expect="{hivel: {held: [pr_number, repo_url], severity: medium}}",
        ),
    ],
)
def test_what_is_so_passes(tmp_path: Path, test: str) -> None:
    assert differences(tmp_path, test) == []


@pytest.mark.parametrize(
    ("test", "place", "expected", "actual", "note"),
    [
        (heard(DOWN, "{rule: noise}"), "rule", "noise", "everything-else", ""),
        (heard("{labels: {alertname: Unknown}}", "{rule: noise}"), "rule", "noise", "no rule matches", ""),
        (heard(DOWN, "{dropped: true}"), "dropped", "true", "false", "matched: everything-else"),
        (heard("{labels: {env: dev}}", "{dropped: false}"), "dropped", "false", "true", "noise"),
        (heard(DOWN, "{unmatched: true}"), "unmatched", "true", "false", "everything-else"),
        (heard(DOWN, "{elven: none}"), "elven", "nothing is sent", "{action: alarmed, ", ""),
        (heard(DOWN, "{elven: {severity: low}}"), "elven.severity", "low", "critical", ""),
        (heard(DOWN, "{elven: {severty: low}}"), "elven.severty", "low", "absent", 'did you mean "severity"?'),
        (heard(DOWN, "{elven: {xyz: 1}}"), "elven.xyz", "1", "absent", "there are: title, "),
        (heard(DOWN, "{elven: {tags: {env: dev}}}"), "elven.tags.env", "dev", "prod", ""),
        (heard(DOWN, "{elven: {tags: []}}"), "elven.tags", "[]", "[{name: env, value: prod}]", ""),
        (heard(DOWN, "{elven: {title: {a: b}}}"), "elven.title", "{a: b}", "it is down", ""),
        (heard(DOWN, "{elven: [{action: alarmed}, {}]}"), "elven", "2 messages\n{action: alarmed}", "{action", ""),
        (heard(DOWN, "{elven: {held: [x]}}"), "elven.held", "[x]", "not held", ""),
        (heard(DOWN, "{elven: {skipped: true}}"), "elven.skipped", "true", "false", ""),
        (heard(DOWN, "{hivel: {severity: critical}}"), "hivel", "{severity", "nothing is sent", "a `sequence`"),
        (heard("{labels: {env: dev}}", "{elven: {}}"), "elven", "{}", "nothing is sent", "no rule that matches"),
        (
            sequence(f"{{alert: {DOWN}}}", "{at: 1m, resolve: all}", expect="{hivel: {affected_systems: [a]}}"),
            "hivel.affected_systems", "[a]", "[a, b]", "",
        ),
        (
            sequence("{alert: {labels: {a: b}}}", "{at: 1m, resolve: all}", expect="{hivel: {severity: medium}}"),
            "hivel.held", "not held", "[repo_url, pr_number]", "",
        ),
        (
            sequence(f"{{alert: {DOWN}}}", "{at: 1m, expect: {rule: noise}}"),
            "sequence[1]: rule", "an alert", "no alert is heard here", "",
        ),
        (
            sequence(f"{{alert: {DOWN}}}", "{at: 1m, resolve: all, expect: {elven: [{action: alarmed}]}}"),
            "sequence[1]: elven.action", "alarmed", "resolved", "",
        ),
        (
            sequence(f"{{alert: {BRIEF}}}", "{at: 1m, resolve: all}", expect="{hivel: {}}"),
            "hivel", "{}", "nothing is sent", "skipped, never sent: shorter than min_duration",
        ),
        (
            sequence(f"{{alert: {DOWN}}}", "{resolve: all}", "{resolve: all}", expect="{hivel: none}"),
            "sequence[2]", "a test that can be run", "nothing fires that could be resolved", "",
        ),
    ],
)  # fmt: skip
def test_what_is_not_so_is_shown(
    tmp_path: Path, test: str, place: str, expected: str, actual: str, note: str
) -> None:
    (found,) = differences(tmp_path, test)

    assert found.place == place
    assert found.expected.startswith(expected)
    assert found.actual.startswith(actual)
    assert note in found.note


def test_a_flap_within_the_reopen_window_is_one_record(tmp_path: Path) -> None:
    def flap(again: str) -> str:
        return sequence(
            f"{{at: 0s, alert: {WINDOWED}}}",
            "{at: 10m, resolve: all, expect: {elven: {action: resolved}}}",
            f"{{at: {again}, fire: all, expect: {{elven: {{action: alarmed}}}}}}",
            "{at: +5m, resolve: all}",
            expect='{hivel: {reported_time: "2026-01-01T00:00:00Z"}}',
        )

    assert differences(tmp_path, flap("+3m")) == []
    (found,) = differences(tmp_path, flap("+10m"))
    assert found.actual.startswith("2 messages\n")


def test_a_record_that_waits_comes_in_the_step_in_which_its_window_ends(tmp_path: Path) -> None:
    test = sequence(
        f"{{alert: {WINDOWED}}}",
        "{at: 10m, resolve: all, expect: {hivel: none}}",
        "{at: +10m, expect: {hivel: {severity: critical}}}",
        "{at: +1s, expect: {hivel: none}}",
    )
    assert differences(tmp_path, test) == []


def test_a_group_is_open_while_any_member_fires(tmp_path: Path) -> None:
    test = sequence(
        f"{{alerts: [{OTHER}, {WINDOWED}], expect: {{elven: {{external_aggregate_key: eu/Windowed}}}}}}",
        f"{{at: 5m, alert: {{status: resolved, {WINDOWED[1:]}, expect: {{elven: none}}}}",
        f"{{at: 7m, alert: {OTHER}, expect: {{elven: none}}}}",
        "{at: 9m, resolve: all, expect: {elven: {action: resolved}}}",
        expect='{rule: windowed, hivel: {severity: critical, reported_time: "2026-01-01T00:00:00Z"}}',
    )
    assert differences(tmp_path, test) == []


def test_what_is_sent_again_on_a_change_is_expected_step_by_step(tmp_path: Path) -> None:
    def load_of(instance: str, text: str) -> str:
        labels = f"{{alertname: Chatty, cluster: eu, instance: {instance}, severity: low}}"
        return f"{{labels: {labels}, annotations: {{summary: {text}}}}}"

    test = sequence(
        f"{{alert: {load_of('a', 'one')}, expect: {{elven: {{action: alarmed, title: one}}}}}}",
        f"{{at: 1m, alert: {load_of('a', 'one')}, expect: {{elven: none}}}}",
        f"{{at: 2m, alert: {load_of('b', 'other')}, expect: {{elven: none}}}}",
        f"{{at: 3m, alert: {load_of('a', 'two')}, expect: {{elven: {{action: alarmed, title: two}}}}}}",
        "{at: 4m, resolve: all, expect: {elven: {action: resolved, title: two}}}",
        expect="{hivel: {description: two, held: [repo_url, pr_number]}}",
    )
    assert differences(tmp_path, test) == []


@pytest.mark.parametrize(("length", "messages"), [("4m", "{skipped: true}"), ("5m", "{severity: medium}")])
def test_what_is_shorter_than_min_duration_is_skipped(tmp_path: Path, length: str, messages: str) -> None:
    test = sequence(f"{{alert: {BRIEF}}}", f"{{at: {length}, resolve: all}}", expect=f"{{hivel: {messages}}}")
    assert differences(tmp_path, test) == []


def doubted(*after: str) -> str:
    return sequence(
        f"{{alert: {DOWN}}}",
        "{at: 10m, resolve: all}",
        "{at: +15s, alert: {starts_at: 0s}, expect: {elven: none}}",
        *after,
    )


def test_old_news_counts_when_its_doubt_has_run_out(tmp_path: Path) -> None:
    assert differences(tmp_path, doubted("{at: +90s, expect: {elven: {action: alarmed}}}")) == []
    (found,) = differences(tmp_path, doubted("{at: +89s, expect: {elven: {}}}", "{at: +1s}"))
    assert (found.place, found.actual) == ("sequence[3]: elven", "nothing is sent")


def test_a_doubt_that_runs_out_as_the_resolve_comes_has_counted(tmp_path: Path) -> None:
    both = "[{action: alarmed}, {action: resolved}]"
    assert differences(tmp_path, doubted(f"{{at: +90s, resolve: all, expect: {{elven: {both}}}}}")) == []


def test_what_is_due_between_two_steps_belongs_to_the_first(tmp_path: Path) -> None:
    test = sequence(
        f"{{alert: {DOWN}}}",
        "{at: 10m, resolve: all}",
        "{at: +15s, alert: {starts_at: 0s}, expect: {elven: {action: alarmed}}}",
        "{at: +1h, expect: {elven: none}}",
    )
    assert differences(tmp_path, test) == []


def test_old_news_is_forgotten_when_a_resolve_comes_meanwhile(tmp_path: Path) -> None:
    again = "{at: +30s, alert: {status: resolved, starts_at: 0s, ends_at: 10m}, expect: {elven: none}}"
    assert differences(tmp_path, doubted(again, "{at: +1h, expect: {elven: none}}")) == []


@pytest.mark.parametrize(
    ("collapse", "messages"), [(False, "[{}, {}]"), (True, "[{skipped: true}, {skipped: true}]")]
)
def test_collapse_skips_what_was_over_before_it_was_said(
    tmp_path: Path, messages: str, *, collapse: bool
) -> None:
    both = f"alerts: [{DOWN}, {{status: resolved, {DOWN[1:]}]\n  expect: {{elven: {messages}}}\n"
    main = MAIN.replace("type: elven,", f"type: elven, collapse: {str(collapse).lower()},")

    assert differences(tmp_path, both, main) == []


def test_captured_notifications_are_as_fresh_as_they_were(tmp_path: Path) -> None:
    for name in ("01-firing-single", "04-partial-resolve"):
        (tmp_path / f"{name}.json").write_bytes((CAPTURED / f"{name}.json").read_bytes())
    test = sequence(
        "{at: 0s, payload: 01-firing-single.json, expect: {rule: [tag-it, everything-else], elven: {action: alarmed}}}",
        "{payload: 04-partial-resolve.json, expect: {elven: [{action: resolved}, {action: alarmed}]}}",
        "{at: +1m, resolve: all}",
        expect="""
      hivel:
      - {reported_time: "2026-11-21T19:38:46Z", resolution_time: "2026-11-21T19:39:17Z"}
      - {reported_time: "2026-11-21T19:38:55Z", resolution_time: "2026-11-21T19:40:17Z"}""",
    )

    assert differences(tmp_path, test) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file"), (b"{", "not JSON"), (b'{"alerts": 5}', "alerts: expected a list")],
)
def test_a_payload_that_cannot_be_read_fails_its_test(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    (found,) = differences(tmp_path, "payload: x.json\n  expect: {unmatched: true}\n")

    assert "x.json: " in found.actual
    assert problem in found.actual


def test_the_source_is_the_first_unless_said(tmp_path: Path) -> None:
    main = MAIN.replace("destinations:", "  dr: {type: alertmanager}\ndestinations:")
    keys = "external_aggregate_key"
    of_dr = (
        f"source: dr\n  alert: {{labels: {{a: b}}, fingerprint: f}}\n  expect: {{elven: {{{keys}: dr/f}}}}\n"
    )

    assert (
        differences(
            tmp_path, heard("{labels: {a: b}, fingerprint: f}", f"{{elven: {{{keys}: prod/f}}}}"), main
        )
        == []
    )
    assert (
        differences(
            tmp_path,
            heard("{labels: {a: b}, source: dr, fingerprint: f}", f"{{elven: {{{keys}: dr/f}}}}"),
            main,
        )
        == []
    )
    assert differences(tmp_path, of_dr, main) == []


def test_without_a_source_nothing_can_be_heard(tmp_path: Path) -> None:
    main = MAIN.replace("sources:\n  prod: {type: alertmanager}\n", "")
    (found,) = differences(tmp_path, heard(DOWN, "{unmatched: true}"), main)

    assert "there is no source" in found.actual


def test_tests_know_nothing_of_each_other_and_a_second_run_is_the_same(tmp_path: Path) -> None:
    alarms = heard(DOWN, "{elven: {action: alarmed}}")
    configuration = load(tmp_path, alarms, alarms)

    assert [result.differences for result in results(configuration)] == [(), ()]
    assert results(configuration) == results(configuration)


def test_coverage_names_the_rules_that_no_test_reaches(tmp_path: Path) -> None:
    configuration = load(
        tmp_path, heard("{labels: {team: payments}}", "{rule: noise}"), heard(BRIEF, "{rule: brief}")
    )
    coverage = cover(bridge(configuration), results(configuration))

    assert coverage.reached == ("tag-it", "brief", "everything-else")
    assert coverage.unreached == ("noise", "windowed", "chatty")


TIMED = """
rules:
  - {name: tag, set: {labels: {team: web}}}
  - {name: never, when: team = none, set: {labels: {x: y}}}
  - {name: night, when: team = web, active: {hours: "22:00-06:00", timezone: Europe/Berlin}, send: [elven]}
  - {name: day, when: alertname != Unknown, send: [elven]}
"""
NIGHT, DAY = "2026-07-01T21:59:00Z", "2026-07-01T19:59:00Z"


@pytest.mark.parametrize(
    ("test", "passes"),
    [
        (heard(f"{DOWN}\n  start: {NIGHT}", "{rule: night}"), True),
        (heard(f"{DOWN}\n  start: {DAY}", "{rule: day}"), True),
        (heard(f"{DOWN}\n  start: {NIGHT}", "{rule: [tag, night]}"), True),
        (heard(f"{DOWN}\n  start: {NIGHT}", "{rule: [never, night]}"), False),
        (heard(f"{DOWN}\n  start: {NIGHT}", "{rule: tag}"), False),
        (heard(f"{DOWN}\n  start: {NIGHT}", "{elven: {tags: {team: web}}}"), True),
        (heard(f"{{labels: {{alertname: Unknown}}}}\n  start: {DAY}", "{unmatched: true, rule: []}"), True),
        (heard(f"{{labels: {{alertname: Unknown}}}}\n  start: {DAY}", "{unmatched: true, rule: tag}"), True),
        (f"payload: {CAPTURED}/01-firing-single.json\n  start: {NIGHT}\n  expect: {{rule: night}}\n", True),
        (f"payload: {CAPTURED}/01-firing-single.json\n  expect: {{rule: day}}\n", True),
        (
            sequence(
                f"{{alert: {DOWN}, expect: {{rule: day}}}}",
                "{at: 3h, alert: {labels: {alertname: Other}}, expect: {rule: night}}",
            )
            + f"  start: {DAY}\n",
            True,
        ),
    ],
)
def test_a_test_begins_when_it_says_and_need_not_name_rules_that_only_set(
    tmp_path: Path, test: str, *, passes: bool
) -> None:
    tests = indent(dedent(f"- name: a test\n  {test}"), "  ")
    (result,) = results(configure(tmp_path, f"{TIMED}tests:\n{tests}"))

    assert (not result.differences) is passes, result.differences


def test_rules_that_only_set_and_rules_with_windows_are_covered_when_they_match(tmp_path: Path) -> None:
    tests = indent(f"- name: a test\n  alert: {DOWN}\n  start: {DAY}\n  expect: {{rule: day}}\n", "  ")
    configuration = configure(tmp_path, f"{TIMED}tests:\n{tests}")
    coverage = cover(bridge(configuration), results(configuration))

    assert coverage.reached == ("tag", "day")
    assert coverage.unreached == ("never", "night")
