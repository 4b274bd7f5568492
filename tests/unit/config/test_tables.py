"""Lookup tables are part of the configuration: read with it, checked with it, and in its hash."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from alertbridge.config.csv_table import MOST_CELLS, CsvTable
from alertbridge.config.load import Configuration, load
from alertbridge.errors import ConfigurationError
from alertbridge.model import Alert, AlertStatus

MAIN = """\
sources: {prod: {type: alertmanager}}
destinations: {elven: {type: elven, url: "https://elven.example/hook"}}
lookup:
  owners: {file: owners.csv, by: service}
rules:
  - {name: all, key: "{{ lookup.owners.team }}", send: [elven]}
"""
CSV = "service,team,tier\ncheckout,payments,1\nsearch,find,2\n"
YAML = "checkout: {team: payments, tier: 1.10}\nsearch: {team: find, tier: 2}\n"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def configured(folder: Path, main: str = MAIN, **files: str) -> Configuration:
    """A configuration with files beside it, `owners_csv` being owners.csv."""
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    (folder / "main.yaml").write_text(main, encoding="utf-8")
    return load(folder / "main.yaml", environ={"CITY": "Bonn"})


def mistakes(folder: Path, main: str = MAIN, **files: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        configured(folder, main, **files)
    return [str(problem).replace(f"{folder}/", "") for problem in refused.value.problems]


def key(configuration: Configuration, **labels: str) -> str:
    alert = Alert("prod", "f1", AlertStatus.FIRING, labels, {}, NOW, None)
    (intent,) = configuration.rulebook.plan(alert, at=NOW).intents
    return intent.key


def test_a_table_is_read_from_csv_or_yaml(tmp_path: Path) -> None:
    assert key(configured(tmp_path, owners_csv=CSV), service="search") == "find"
    in_yaml = MAIN.replace("owners.csv", "owners.yaml").replace("owners.team", "owners.tier")
    assert key(configured(tmp_path, in_yaml, owners_yaml=YAML), service="checkout") == "1.10"
    assert key(configured(tmp_path, in_yaml, owners_yaml="404: {tier: '${CITY}'}"), service="404") == "Bonn"


def test_csv_is_read_as_spreadsheets_write_it(tmp_path: Path) -> None:
    written = '\ufeffservice, team\r\n\r\ncheckout, "pay, ""all"" of\r\nit"\r\n"search","find"\r\n'
    configuration = configured(tmp_path, owners_csv=written)
    assert key(configuration, service="checkout") == 'pay, "all" of\r\nit'
    assert key(configuration, service="search") == "find"


def test_the_column_of_the_values_may_have_another_name_than_the_label(tmp_path: Path) -> None:
    main = MAIN.replace("by: service", "by: app, column: service")
    assert key(configured(tmp_path, main, owners_csv=CSV), app="search", service="checkout") == "find"


@pytest.mark.parametrize(
    ("missing", "found"), [("empty", "prod/f1"), ("{team: platform}", "platform"), ("fail", "prod/f1")]
)
def test_a_row_that_is_missing_gives_what_is_said(tmp_path: Path, missing: str, found: str) -> None:
    main = MAIN.replace("by: service", f"by: service, missing: {missing}")
    assert key(configured(tmp_path, main, owners_csv=CSV), service="other") == found


def test_a_table_is_one_of_the_files_and_in_the_hash(tmp_path: Path) -> None:
    first = configured(tmp_path, owners_csv=CSV)
    again = configured(tmp_path, owners_csv=CSV)
    other = configured(tmp_path, owners_csv=CSV.replace("find", "seek"))
    assert first.files == (tmp_path / "main.yaml", tmp_path / "owners.csv")
    assert first.hash == again.hash != other.hash
    assert key(other, service="search") == "seek"


OWNERS = "owners.csv:"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["1:1: the file is empty; begin with a header line such as service,team"]),
        ("service;team\na;b\n", ["1:8: the cells are not parted by commas; write commas"]),
        (
            "svc,serviced,team\na,b,c\n",
            [
                (
                    '1:1: there is no column "service" to select rows by; did you mean "serviced"? '
                    "say which one it is with `column:` beside `file:`"
                )
            ],
        ),
        (
            "service,,team, team\n",
            [
                "1:9: the column has no name; write one into the header line",
                "1:16: there is a column of this name already; rename it",
            ],
        ),
        (
            "service,team\na\nb,c,d,e\n,f\nb,\nb,x\n",
            [
                "2:1: the row has 1 cell, and the header 2; write a comma for every cell that is empty",
                (
                    "3:5: the row has 4 cells, and the header 2; put a cell that holds a comma in double quotes, "
                    "or remove what is too much"
                ),
                (
                    "4:1: the value that selects the row is empty; "
                    "write it; what an alert without the label gets is said by `missing:`"
                ),
                "6:1: a row for this value stands already on line 5; keep one of the two",
            ],
        ),
        (
            'team,service\n"x\ny,z", a\n1, a\n',
            ["4:4: a row for this value stands already on line 2; keep one of the two"],
        ),
        (
            'team,service\n"a\n"", b",c, d\n',
            [
                (
                    "3:11: the row has 3 cells, and the header 2; put a cell that holds a comma in double quotes, "
                    "or remove what is too much"
                )
            ],
        ),
        (
            'service,team\na,b\n"c,d\n',
            ["3:1: a quote is never closed; close it; a quote within quotes is written twice"],
        ),
        (
            'service,team\n\n"c" d,e\n',
            [
                (
                    "3:1: text follows a closed quote; "
                    "put the whole cell in quotes; a quote within quotes is written twice"
                )
            ],
        ),
    ],
)
def test_every_mistake_in_a_csv_file_is_named_with_its_place(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    assert mistakes(tmp_path, owners_csv=text) == [f"owners.csv:{each}" for each in said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["owners.yaml: the file is empty; write a line for each value, such as `checkout: {team: payments}`"]),
        ("a: {team: x}\na: {team: y}\n", ["owners.yaml:2:1: a: this key stands already on line 1; keep one of the two"]),
        ("a: {team: x}\nb: y\n", ["owners.yaml:2:4: b: expected a mapping, got text; write `key: value` lines below it, with a space after each colon"]),
        (
            "a: {team: x, tier: 1}\nb: {taem: y}\n",
            [
                'owners.yaml:2:1: b: the row lacks the column "team"; add `team: ""` if it is to be empty',
                'owners.yaml:2:1: b: the row lacks the column "tier"; add `tier: ""` if it is to be empty',
                'owners.yaml:2:5: b.taem: unknown column; did you mean "team"? every row has those of the first',
            ],
        ),
        (
            "a: {team: }\nb: {team: [x]}\n",
            [
                'owners.yaml:1:5: a.team: expected text, got nothing; write "" for an empty one',
                "owners.yaml:2:5: b.team: expected text, got a list; write one piece of text",
            ],
        ),
    ],
)  # fmt: skip
def test_every_mistake_in_a_table_in_yaml_is_named_with_its_place(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    assert mistakes(tmp_path, MAIN.replace("owners.csv", "owners.yaml"), owners_yaml=text) == said


@pytest.mark.parametrize(
    ("owners", "said"),
    [
        (
            "{file: owners.csv, by: service, missing: fial}",
            'main.yaml:4:53: lookup.owners.missing: not one of the words it may be; did you mean "fail"?',
        ),
        (
            "{file: owners.csv, by: service, missing: [a]}",
            "main.yaml:4:44: lookup.owners.missing: expected text or a mapping, got a list; write text or a mapping",
        ),
        (
            "{file: owners.csv, by: service, missing: {taem: x}}",
            'main.yaml:4:54: lookup.owners.missing.taem: the table has no such column; did you mean "team"?',
        ),
        (
            "{file: owners.csv, by: service, missing: {team: [x]}}",
            "main.yaml:4:54: lookup.owners.missing.team: expected text, got a list; write one piece of text",
        ),
        (
            "{file: owners.csv, by: labels.service, column: service}",
            "main.yaml:4:35: lookup.owners.by: the name of the label stands alone; leave out `labels.`",
        ),
        (
            "{file: ., by: service}",
            "main.yaml:4:19: lookup.owners.file: a table is CSV or YAML; name it .csv, .yaml or .yml",
        ),
    ],
)
def test_a_mistake_in_the_section_is_named(tmp_path: Path, owners: str, said: str) -> None:
    main = MAIN.replace("{file: owners.csv, by: service}", owners)
    found = mistakes(tmp_path, main, owners_csv=CSV)
    assert len(found) == 1
    assert found[0].split(":")[0::3] == said.split(":")[0::3]
    assert found[0].partition(": ")[2] == said.partition(": ")[2]


def test_a_table_in_yaml_has_no_column_to_go_by(tmp_path: Path) -> None:
    main = MAIN.replace("owners.csv, by: service", "owners.yaml, by: service, column: a")
    (found,) = mistakes(tmp_path, main, owners_yaml=YAML)
    assert found.endswith("lookup.owners.column: a table in YAML has no such column; remove the line")


def test_a_name_that_templates_could_not_use_is_refused(tmp_path: Path) -> None:
    main = MAIN + "  - {name: b, send: [elven]}\n"
    main = main.replace("  owners: {", "  on-call: {file: owners.csv, by: service}\n  owners: {")
    found = mistakes(tmp_path, main.replace("- {name: all,", "- {name: all, when: [a = b],"), owners_csv=CSV)
    assert found == [
        (
            "main.yaml:4:3: lookup.on-call: not a name that templates can use; "
            "use letters, digits and _, beginning with a letter, 63 at most"
        )
    ]


def test_mistakes_in_tables_rules_and_sections_are_reported_at_once(tmp_path: Path) -> None:
    main = MAIN.replace("owners.team", "owners.taem") + "log: {level: loud}\n"
    assert [found.split(": ")[0] for found in mistakes(tmp_path, main, owners_csv=CSV)] == [
        "main.yaml:6:40",
        "main.yaml:7:14",
    ]
    broken = mistakes(tmp_path, main, owners_csv="service\n,\n")
    assert [found.split(": ")[0] for found in broken] == ["main.yaml:7:14", "owners.csv:2:2"]


def test_a_file_that_is_not_utf8_or_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "owners.csv").write_bytes(b"service,team\na,\xff\n")
    assert mistakes(tmp_path) == ["owners.csv:2:1: the file is not UTF-8; save it in the encoding UTF-8"]
    (tmp_path / "owners.csv").write_bytes(b"x" * (8 * 2**20 + 1))
    assert mistakes(tmp_path) == ["owners.csv: the file is larger than 8 MiB; leave out what is not used"]


def test_a_table_holds_so_many_cells_and_no_more() -> None:
    rows = "".join(f"{number},x\n" for number in range(MOST_CELLS // 2))
    assert len(CsvTable(f"a,b\n{rows}", file="t", by="a").rows) == MOST_CELLS // 2
    (problem,) = CsvTable(f"a,b\n{rows}last,x\n", file="t", by="a").problems
    assert str(problem) == (
        "t:100002:1: the table holds more than 200000 cells; leave out columns and rows that no template uses"
    )


def test_of_very_many_mistakes_the_first_hundred_are_named() -> None:
    problems = CsvTable("a,b\n" + "x\n" * 1000, file="t", by="a").problems
    assert len(problems) == 101
    assert problems[-1].problem == "the file was read up to here: too many mistakes"


NAMED = """\
templates:
  owner: "{{ lookup.owners.team | upper }}"
  title: "{{ templates.owner }}: {{ labels.alertname }}"
"""


def test_a_named_template_looks_values_up(tmp_path: Path) -> None:
    main = MAIN.replace("lookup.owners.team", "templates.owner") + NAMED
    configuration = configured(tmp_path, main, owners_csv=CSV)
    assert key(configuration, service="search") == "FIND"
    assert key(configuration, service="none") == "prod/f1"


def test_columns_are_checked_in_named_templates_and_in_what_is_set_too(tmp_path: Path) -> None:
    main = MAIN + NAMED.replace("owners.team", "owners.taem")
    main = main.replace("send: [elven]", 'set: {labels: {t: "{{ lookup.owner.team }}"}}, send: [elven]')
    assert mistakes(tmp_path, main, owners_csv=CSV) == [
        'main.yaml:6:79: rules[0].set.labels.t: there is no table "owner"; did you mean lookup.owners?',
        'main.yaml:8:28: templates.owner: the table owners has no column "taem"; did you mean lookup.owners.team?',
    ]


def test_the_rows_of_a_table_are_kept_beside_the_rules_and_named_by_the_hash(tmp_path: Path) -> None:
    kept = configured(tmp_path, owners_csv="service,team\nserver,token-9\n").rule_set
    assert [(part.file, part.content) for part in kept.parts][1:] == [
        ("owners.csv", {"table": "owners", "rows": {"server": {"service": "server", "team": "token-9"}}})
    ]
    assert kept.count == 1

    same = '# by hand\n"server": {team: token-9, service: server}\n'
    in_yaml = MAIN.replace("owners.csv", "o.yaml")
    assert configured(tmp_path, in_yaml, o_yaml=same).hash == kept.hash
    assert configured(tmp_path, in_yaml, o_yaml=same.replace("9", "8")).hash != kept.hash


def test_two_tables_that_change_places_are_other_rules(tmp_path: Path) -> None:
    main = MAIN.replace("rules:", "  others: {file: others.csv, by: service}\nrules:")
    one, other = CSV, CSV.replace("find", "seek")
    before = configured(tmp_path, main, owners_csv=one, others_csv=other)
    assert configured(tmp_path, main, owners_csv=other, others_csv=one).hash != before.hash


def test_a_secret_in_a_table_is_not_kept(tmp_path: Path) -> None:
    kept = configured(tmp_path, owners_csv="service,team\nweb,https://elven.example/hook\n").rule_set
    assert "elven.example/hook" not in str(kept)


def test_whatever_becomes_of_a_table_is_seen(tmp_path: Path) -> None:
    sight = configured(tmp_path, owners_csv=CSV).sight
    assert sight.again() == sight
    (tmp_path / "owners.csv").write_text(CSV.replace("find", "seek"), encoding="utf-8")
    assert sight.differing(sight.again()) == [str(tmp_path / "owners.csv")]
