"""What `alertbridge check` says of each configuration in `broken/`, letter by letter.

Beside NAME.yaml stands NAME.txt: what an operator sees, and the exit status. After a change of what is said, write them
anew with `WRITE_SNAPSHOTS=1 pytest tests/unit/cli/test_broken.py`, and read the difference: it is what people get to
read at night. Which lines are wrong stands in the first line of NAME.yaml, and is not written anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from alertbridge.cli.main import group

FOLDER = Path(__file__).parent / "broken"
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
_WRONG = re.compile(r"# .+ Wrong: lines? ([0-9, ]+)\n")
_HASH = re.compile(r"hash [0-9a-f]{12}")


@pytest.fixture(autouse=True)
def _inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def shown(name: str, *arguments: str) -> str:
    result = CliRunner().invoke(group, ["check", "--config", f"{name}.yaml", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    output = result.output.replace(str(FOLDER), "/etc/alertbridge")
    return _HASH.sub("hash ...", f"{output}exit status {result.exit_code}\n")


def told(output: str, name: str) -> list[tuple[int, str]]:
    """The line of each problem, and what is said about it."""
    found = re.findall(rf"^{re.escape(name)}\.yaml:([0-9]+):[0-9]+: (.+)$", output, re.MULTILINE)
    return [(int(line), said) for line, said in found]


@pytest.mark.parametrize("name", CASES)
def test_an_operator_sees_exactly_this(name: str) -> None:
    snapshot, output = FOLDER / f"{name}.txt", shown(name)
    if os.environ.get("WRITE_SNAPSHOTS"):
        snapshot.write_text(output, encoding="utf-8")
        pytest.skip("written anew: read the difference")
    assert output == snapshot.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in CASES if name != "empty-file"])
def test_the_lines_are_the_wrong_ones_and_each_has_its_remedy_and_a_caret(name: str) -> None:
    wrong = _WRONG.match((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    assert wrong is not None
    output = shown(name)
    problems = told(output, name)
    assert sorted({line for line, _ in problems}) == [int(line) for line in wrong[1].split(", ")]
    assert all("; " in said for _, said in problems)
    carets = 0 if name == "no-blank-after-colon" else len(problems)  # a secret may stand in such a line
    assert len(re.findall(r"^ +\| +\^$", output, re.MULTILINE)) == carets


def test_there_are_more_than_forty_and_no_two_are_the_same() -> None:
    mistakes = [name for name in CASES if not name.startswith("warning-")]
    said = {tuple(what for _, what in told(shown(name), name)) for name in mistakes}
    assert len(said) == len(mistakes) > 40


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_ends_with_1_and_a_warning_only_when_strict(name: str) -> None:
    warning = name.startswith("warning-")
    assert shown(name).endswith(f"exit status {0 if warning else 1}\n")
    assert shown(name, "--strict").endswith("exit status 1\n")
