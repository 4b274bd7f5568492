from __future__ import annotations

from pathlib import Path

from alertbridge.config.load import documents
from alertbridge.config.unseen import find_unseen
from alertbridge.errors import Problem
from tests.support.configuration import configure

RULES = """
rules:
  - name: one
    when:
      - any: [severty = page, {not: "env = dev"}]
    key: "{{ labels.cluster }}"
    service: "{{ labels.ap }}"
    send:
      elven:
        title: >-
          {{ labels.gone }}
          and more
        tags: {team: "{{ labels.team }}", why: "labels.none"}
      hivel: {affected_systems: ["{{ labels.sys }}"]}
tests:
  - name: a test may say what it likes
    alert: {labels: {strange: "{{ labels.stranger }}"}}
    expect: {rule: one}
"""


def found(folder: Path, *seen: str) -> list[Problem]:
    configure(folder, RULES)
    files = documents(folder / "alertbridge.yaml", environ={})
    return [*find_unseen(files, seen=seen, among="2 notifications")]


def test_every_place_is_told_that_names_a_label_which_no_alert_has(tmp_path: Path) -> None:
    problems = found(tmp_path, "severity", "app", "cluster", "team")

    told = {one.field: (one.problem.rpartition(" ")[2], one.remedy) for one in problems}
    assert told == {
        "rules[0].when[0].any[0]": ('"severty"', 'did you mean "severity"?'),
        "rules[0].when[0].any[1].not": ('"env"', "look whether its name is right"),
        "rules[0].service": ('"ap"', 'did you mean "app"?'),
        "rules[0].send.elven.title": ('"gone"', "look whether its name is right"),
        "rules[0].send.hivel.affected_systems[0]": ('"sys"', "look whether its name is right"),
    }
    assert {one.level for one in problems} == {"warning"}
    assert problems[0].problem == 'no alert in 2 notifications has the label "severty"'


def test_the_place_is_that_of_the_name_where_the_text_stands_on_one_line(tmp_path: Path) -> None:
    lines = (tmp_path / "alertbridge.yaml", found(tmp_path, "team"))
    text = lines[0].read_text(encoding="utf-8").splitlines()

    for one in lines[1]:
        name = one.problem.rpartition(" ")[2].strip('"')
        expected = "title" if name == "gone" else name
        assert text[one.line - 1][one.column - 1 :].startswith(expected), one


def test_nothing_is_told_of_labels_that_alerts_have(tmp_path: Path) -> None:
    assert found(tmp_path, "severty", "env", "cluster", "ap", "gone", "team", "sys") == []


ENRICHED = """
lookup:
  owners: {file: owners.csv, by: app}
  labels: {file: owners.csv, by: host}
rules:
  - name: tag
    set: {labels: {team: "{{ lookup.owners.team }}", when: "{{ lookup.labels.team }}"}}
  - name: one
    when: [team = web, teem = web, when = x]
    send: [elven]
"""


def test_what_rules_set_counts_as_seen_and_what_tables_go_by_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "owners.csv").write_text("app,host,team\na,b,web\n", encoding="utf-8")
    configure(tmp_path, ENRICHED)
    files = documents(tmp_path / "alertbridge.yaml", environ={})

    told = {
        one.field: (one.problem.rpartition(" ")[2], one.remedy)
        for one in find_unseen(files, seen=["app"], among="x")
    }

    assert told == {
        "lookup.labels.by": ('"host"', "look whether its name is right"),
        "rules[1].when[1]": ('"teem"', 'did you mean "team"?'),
    }
