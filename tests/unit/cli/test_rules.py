"""What `alertbridge rules` prints; asking a real daemon is in the acceptance tests."""

from __future__ import annotations

from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.cli.main import group
from alertbridge.cli.rule_text import as_yaml
from alertbridge.cli.rules import _table

_WORDS = st.one_of(
    st.text(max_size=6), st.sampled_from(["no", "1:30", "{{ a }}", "a\nb\n", " a\nb", "2024-01-01"])
)
_CONTENTS = st.dictionaries(
    _WORDS,
    st.recursive(
        st.one_of(_WORDS, st.integers(), st.booleans()),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_WORDS, inner, max_size=3)),
        max_leaves=5,
    ),
    min_size=1,
    max_size=3,
)


@given(st.lists(_CONTENTS, min_size=1, max_size=2))
def test_what_is_printed_says_what_is_kept(contents: list[dict[str, Any]]) -> None:
    parts = [{"file": "a.yaml", "content": content} for content in contents]

    assert list(yaml.safe_load_all(as_yaml({"hash": "abc", "parts": parts}))) == contents


def test_a_set_is_printed_for_people_to_read_and_compare() -> None:
    rule = {"name": "one", "when": ["team = payments", 'env =~ "a|b"'], "send": {"elven": {"title": "a\nb"}}}
    parts = [
        {"file": "alertbridge.yaml", "content": {"severities": {"page": "critical"}}},
        {"file": "rules.d/20.yaml", "content": {"rules": [rule]}},
    ]

    assert as_yaml({"hash": "abc", "parts": parts}) == (
        "# rule set abc\n"
        "# alertbridge.yaml\n"
        "severities:\n"
        "  page: critical\n"
        "---\n"
        "# rules.d/20.yaml\n"
        "rules:\n"
        "  - name: one\n"
        "    when:\n"
        "      - team = payments\n"
        '      - env =~ "a|b"\n'
        "    send:\n"
        "      elven:\n"
        "        title: |-\n"
        "          a\n"
        "          b\n"
    )


def test_the_one_in_use_is_marked() -> None:
    item = {
        "hash": "465ebb44bc017a1c",
        "in_use": True,
        "rules": 12,
        "open_incidents": 3,
        "last_loaded_at": "2026-11-22T01:03:18.123456Z",
        "first_loaded_at": "2026-11-21T01:03:18Z",
    }

    head, used, other = map(click.unstyle, _table([item, {**item, "in_use": False}]))

    assert head == "  hash          last loaded           first loaded          rules  open incidents"
    assert used == "* 465ebb44bc01  2026-11-22T01:03:18Z  2026-11-21T01:03:18Z     12               3"
    assert other == used.replace("*", " ")


@pytest.mark.parametrize("given_hash", ["", "xyz", "../events", "a" * 65])
def test_what_can_be_no_hash_is_wrong_usage(given_hash: str) -> None:
    assert CliRunner().invoke(group, ["rules", "show", given_hash]).exit_code == 2
