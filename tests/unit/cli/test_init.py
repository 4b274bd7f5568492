"""`alertbridge init` and `alertbridge schema`, run in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from alertbridge.cli import example
from alertbridge.cli.main import group

FILES = [
    "alertbridge.schema.json",
    "alertbridge.yaml",
    "rules.d/20-payments.yaml",
    "rules.d/90-everything-else.yaml",
]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_it_writes_passes_the_strict_check_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert CliRunner().invoke(group, ["init"]).exit_code == 0

    assert files(tmp_path) == FILES
    result = CliRunner().invoke(group, ["check", "--strict"])
    assert result.exit_code == 0, result.output


def test_a_folder_that_is_not_there_is_made_and_named_in_the_next_steps(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"

    result = CliRunner().invoke(group, ["init", str(folder)])

    assert result.exit_code == 0
    assert files(folder) == FILES
    assert f"wrote {folder}/rules.d/20-payments.yaml\n" in result.output
    assert f"alertbridge serve --config {folder}/alertbridge.yaml\n" in result.output


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path: Path, name: str) -> None:
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine", encoding="utf-8")

    result = CliRunner().invoke(group, ["init", str(tmp_path)])

    assert result.exit_code == 1
    assert f"{mine} is there already" in result.output
    assert files(tmp_path) == [name]
    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = CliRunner().invoke(group, ["init", str(tmp_path / "file" / "below")])

    assert result.exit_code == 1
    assert "cannot be written: Not a directory; name a folder" in result.output


def test_every_file_names_the_schema_that_lies_beside_it(tmp_path: Path) -> None:
    CliRunner().invoke(group, ["init", str(tmp_path)])

    for name in FILES[1:]:
        path = tmp_path / name
        first = path.read_text(encoding="utf-8").splitlines()[0]
        prefix = "# yaml-language-server: $schema="
        assert first.startswith(prefix)
        assert (path.parent / first.removeprefix(prefix)).resolve() == tmp_path / example.SCHEMA


def test_schema_prints_what_init_writes(tmp_path: Path) -> None:
    CliRunner().invoke(group, ["init", str(tmp_path)])

    result = CliRunner().invoke(group, ["schema"])

    assert result.exit_code == 0
    assert result.output == (tmp_path / example.SCHEMA).read_text(encoding="utf-8")
    assert json.loads(result.output)["title"] == "alertbridge configuration"
