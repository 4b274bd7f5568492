"""`alertbridge check`, run in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from alertbridge.cli import example
from alertbridge.cli.main import group

CANARY = "canary-0f8fad5b-d9cb"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the example configuration in it."""
    for name, text in example.configuration().items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALERTBRIDGE_CONFIG", raising=False)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.usefixtures("folder")
def test_a_good_configuration_is_summed_up() -> None:
    result = CliRunner().invoke(group, ["check"])

    assert result.exit_code == 0
    assert result.output.startswith(
        "alertbridge.yaml: good: 1 source, 2 destinations, 3 rules, 3 files, hash "
    )


def test_every_mistake_is_shown_at_once_with_a_caret(folder: Path) -> None:
    replace(folder / "alertbridge.yaml", "key_interval:", "key_intervall:")
    replace(folder / "rules.d/20-payments.yaml", "severity =~", "severity =>")

    result = CliRunner().invoke(group, ["check"])

    assert result.exit_code == 1
    assert 'destinations.elven.key_intervall: unknown key; did you mean "key_interval"?' in result.output
    assert 'rules.d/20-payments.yaml:9:18: rules[0].when[0]: unknown label matcher operator "=>"' in (
        result.output
    )
    assert ('     9 |       - severity => "critical|page"\n       |                  ^\n') in result.output
    assert result.output.endswith("2 mistakes\n")


def test_a_warning_fails_only_when_strict(folder: Path) -> None:
    replace(
        folder / "rules.d/90-everything-else.yaml", "    send: [elven]", "    send: [elven]\n    when: [a=b]"
    )

    assert CliRunner().invoke(group, ["check"]).exit_code == 0
    result = CliRunner().invoke(group, ["check", "--strict"])
    assert result.exit_code == 1
    assert "warning: " in result.output
    assert result.output.endswith(", 1 warning\n")


@pytest.mark.parametrize("arguments", [["--json"], ["--format", "json"]])
def test_programs_get_json(folder: Path, arguments: list[str]) -> None:
    good = json.loads(CliRunner().invoke(group, ["check", *arguments]).output)
    assert good["ok"] is True
    assert good["problems"] == []
    assert (good["sources"], good["destinations"], good["rules"], len(good["files"])) == (1, 2, 3, 3)

    replace(folder / "alertbridge.yaml", "key_interval:", "key_intervall:")
    result = CliRunner().invoke(group, ["check", *arguments])
    bad = json.loads(result.output)
    assert result.exit_code == 1
    assert bad["ok"] is False
    assert bad["problems"][0]["field"] == "destinations.elven.key_intervall"
    assert bad["problems"][0]["line"] > 0


def test_github_gets_annotations_and_nothing_when_all_is_well(folder: Path) -> None:
    assert CliRunner().invoke(group, ["check", "--format", "github"]).output == ""

    replace(folder / "alertbridge.yaml", "key_interval:", "key_intervall:")
    result = CliRunner().invoke(group, ["check", "--format", "github"])
    assert result.exit_code == 1
    assert result.output.startswith("::error file=alertbridge.yaml,line=")


def test_programs_and_github_are_told_what_is_only_a_warning(folder: Path) -> None:
    replace(folder / "rules.d/20-payments.yaml", "critical|page", "critcal|page")

    result = CliRunner().invoke(group, ["check", "--json"])
    assert result.exit_code == 0
    said = json.loads(result.output)
    assert said["ok"] is True
    assert [(each["level"], each["line"]) for each in said["problems"]] == [("warning", 9)]
    result = CliRunner().invoke(group, ["check", "--format", "github", "--strict"])
    assert result.exit_code == 1
    assert result.output.startswith("::warning file=rules.d/20-payments.yaml,line=9,col=")


@pytest.mark.parametrize("named", [[], ["--config", "alertbridge.yaml"]])
def test_a_missing_configuration_is_a_problem_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALERTBRIDGE_CONFIG", raising=False)

    result = CliRunner().invoke(group, ["check", *named])

    assert result.exit_code == 1
    assert "there is no configuration here; make one with `alertbridge init`" in result.output
    expected = "alertbridge.yaml" if named else "/etc/alertbridge/alertbridge.yaml"
    assert result.output.startswith(f"{expected}: ")


@pytest.mark.usefixtures("folder")
def test_the_environment_names_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTBRIDGE_CONFIG", "elsewhere.yaml")

    assert CliRunner().invoke(group, ["check"]).output.startswith("elsewhere.yaml: there is no")
    assert CliRunner().invoke(group, ["check", "--config", "alertbridge.yaml"]).exit_code == 0


@pytest.mark.parametrize("form", ["text", "json", "github"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("${ELVEN_URL:-http://127.0.0.1:9798/elven/demo-token}", f"ftp://elven.example/{CANARY}"),
        ("    url: ${ELVEN_URL:-http://127.0.0.1:9798/elven/demo-token}", f"    urll: {CANARY}"),
        ("    token: ${HIVEL_TOKEN:-demo-token}", f"    token:{CANARY}"),
        ("    token: ${HIVEL_TOKEN:-demo-token}", f"    tokken: {CANARY}"),
        ("    token: ${HIVEL_TOKEN:-demo-token}", f"    token: [{CANARY}]"),
        ("    auth_header: X-API-Token", f"    auth_header: {CANARY}"),
        ("      bearer_token: ${WEBHOOK_TOKEN:-demo-token}", f"      bearer_token: '{CANARY}"),
    ],
)
def test_no_secret_is_ever_shown(folder: Path, form: str, old: str, new: str) -> None:
    replace(folder / "alertbridge.yaml", old, new)

    result = CliRunner().invoke(group, ["check", "--format", form])

    assert result.exit_code == 1
    assert result.output
    assert CANARY not in result.output


PAYLOADS = Path(__file__).parents[2] / "payloads" / "alertmanager"


@pytest.mark.usefixtures("folder")
def test_labels_that_all_captured_alerts_lack_are_warned_of_with_their_places() -> None:
    watchdog = str(PAYLOADS / "14-watchdog-few-labels.json")

    result = CliRunner().invoke(group, ["check", "--payloads", watchdog])

    assert result.exit_code == 0
    assert (
        "rules.d/20-payments.yaml:10:9: warning: rules[0].when[1]: no alert in 1 notification has the label "
        '"team"; look whether its name is right\n'
        "    10 |       - team = payments\n"
        "       |         ^\n"
    ) in result.output
    assert result.output.endswith(", labels of 1 notification, 4 warnings\n")
    assert CliRunner().invoke(group, ["check", "--payloads", watchdog, "--strict"]).exit_code == 1


@pytest.mark.usefixtures("folder")
def test_labels_not_seen_are_in_json_and_in_annotations_too() -> None:
    arguments = ["check", "--payloads", str(PAYLOADS / "14-watchdog-few-labels.json")]

    said = json.loads(CliRunner().invoke(group, [*arguments, "--json"]).output)
    assert said["ok"] is True
    assert (said["seen"]["events"], said["seen"]["unread"]) == (1, 0)
    assert {"alertname", "severity"} <= {*said["seen"]["labels"]}
    assert {one["level"] for one in said["problems"]} == {"warning"}
    assert (said["problems"][0]["line"], said["problems"][0]["column"]) == (10, 9)

    annotations = CliRunner().invoke(group, [*arguments, "--format", "github"]).output
    assert annotations.startswith("::warning file=rules.d/20-payments.yaml,line=10,col=9::rules[0].when[1]: ")


@pytest.mark.usefixtures("folder")
def test_labels_that_some_alert_has_are_not_warned_of() -> None:
    result = CliRunner().invoke(group, ["check", "--payloads", str(PAYLOADS), "--strict"])

    assert result.exit_code == 0, result.output


def test_notifications_that_cannot_be_read_are_counted(folder: Path) -> None:
    (folder / "captured").mkdir()
    (folder / "captured" / "none.json").write_text("{}", encoding="utf-8")
    good = (PAYLOADS / "14-watchdog-few-labels.json").read_text(encoding="utf-8")
    (folder / "captured" / "watchdog.json").write_text(good, encoding="utf-8")

    said = CliRunner().invoke(group, ["check", "--payloads", "captured"]).output

    assert "no alert in 1 notification has" in said
    assert ", labels of 2 notifications (1 of them cannot be read), 4 warnings\n" in said


def test_without_any_alert_nothing_is_said_of_labels(folder: Path) -> None:
    (folder / "empty.json").write_text('{"alerts": []}', encoding="utf-8")

    result = CliRunner().invoke(group, ["check", "--payloads", "empty.json", "--strict"])

    assert result.exit_code == 0
    assert result.stderr == "no alert was found: nothing can be said of labels\n"


@pytest.mark.parametrize(
    "arguments",
    [["--last", "1d", "--payloads", "."], ["--source", "prod"], ["--url", "http://x"], ["--last", "soon"]],
)
@pytest.mark.usefixtures("folder")
def test_wrong_usage_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(group, ["check", *arguments]).exit_code == 2
