"""What of a configuration is kept as the set of rules that decides, and what never is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.config.deciding import _CARRYING, _CARRYING_IN, _CARRYING_OF_EACH, deciding
from alertbridge.config.deployment_settings import DeploymentsSettings
from alertbridge.config.destination_settings import DESTINATION_TYPES
from alertbridge.config.load import load
from alertbridge.config.lookup_settings import LookupSettings
from alertbridge.config.secrets import Redactor
from alertbridge.config.section import Section
from alertbridge.config.settings import Settings
from alertbridge.config.source_settings import SOURCE_TYPES
from alertbridge.model import Secret

MAIN = """
server: {listen: "127.0.0.1:9797"}
sources:
  prod: {type: alertmanager, auth: {bearer_token: a-webhook-token}}
destinations:
  elven: {type: elven, url: "http://127.0.0.1:9/elven/token-of-elven", timeout: 2s}
  hivel: {type: hivel, token: token-of-hivel}
services:
  checkout: {repo_url: "https://github.com/acme/checkout", pr_number: 44}
rules:
  - name: everything
    when: [team = payments]
    send: [elven, hivel]
tests:
  - {name: one, alert: {labels: {team: other}}, expect: {unmatched: true}}
"""


def hash_of(folder: Path, old: str = "", new: str = "") -> str:
    assert old in MAIN
    path = folder / "alertbridge.yaml"
    path.write_text(MAIN.replace(old, new, 1) if old else MAIN, encoding="utf-8")
    return load(path, environ={}).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("9797", "9798"),
        ("server:", "log: {level: debug}\nserver:"),
        ("a-webhook-token", "another-token"),
        ("type: alertmanager", "type: alertmanager, allow_from: [10.0.0.0/8]"),
        ("token-of-elven", "another-token"),
        ("token-of-hivel", "another-token"),
        ("timeout: 2s", "timeout: 3s"),
        ("type: hivel", "type: hivel, rate_limit: {requests: 1, per: 1s}"),
        ("type: hivel", "type: hivel, base_url: https://app.hivel.in"),
        ("type: hivel", "type: hivel, canceled: canceled"),
        ("services:", "deployments: {forward: hivel, gitlab: {token: t}}\nservices:"),
        ("name: one", "name: two"),
        ("rules:", "# a comment\nrules:"),
    ],
)
def test_what_only_carries_is_not_what_decides(tmp_path: Path, old: str, new: str) -> None:
    assert hash_of(tmp_path, old, new) == hash_of(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("team = payments", "team = checkout"),
        ("send: [elven, hivel]", "send: [elven]"),
        ("44", "45"),
        ("services:", "severities: {page: high}\nservices:"),
        ("type: alertmanager", "type: alertmanager, stale_window: 1m"),
        ("prod:", "other:"),
        ("type: elven", "type: elven, collapse: true"),
        ("type: elven", "type: elven, extra_fields: {organization: acme}"),
        ("type: hivel", "type: hivel, severities: {moderate: mid}"),
        ("type: hivel", "type: hivel, keep_git_suffix: true"),
        ("services:", "deployments: {max_age: 2d}\nservices:"),
        ("- name: everything", "- {name: tag, set: {labels: {team: a}}}\n  - name: everything"),
        ("- name: everything", "- name: everything\n    active: {days: mon}"),
    ],
)
def test_what_decides_has_another_name_when_it_is_another(tmp_path: Path, old: str, new: str) -> None:
    assert hash_of(tmp_path, old, new) != hash_of(tmp_path)


def test_what_carries_is_called_as_the_settings_are() -> None:
    assert Settings.model_fields.keys() >= _CARRYING
    sections: dict[str, Mapping[str, type[Section]]] = {
        "sources": SOURCE_TYPES,
        "destinations": DESTINATION_TYPES,
        "lookup": {"": LookupSettings},
    }
    assert sections.keys() == _CARRYING_OF_EACH.keys()
    for part, types in sections.items():
        known = {name for model in types.values() for name in model.model_fields}
        assert known >= _CARRYING_OF_EACH[part]
    assert DeploymentsSettings.model_fields.keys() >= _CARRYING_IN["deployments"]


def test_a_setting_that_nobody_has_thought_of_counts() -> None:
    kept = deciding({"new": {"a": 1}, "destinations": {"elven": {"new": 2}}}, clean=str)

    assert kept == {"new": {"a": 1}, "destinations": {"elven": {"new": 2}}}


def test_a_secret_is_left_out_with_the_path_of_its_file() -> None:
    data = {"new": {"token": Secret("canary"), "token_file": "/run/canary", "name": "x"}}

    assert deciding(data, clean=str) == {"new": {"name": "x"}}


CANARY = "c4n4ry-7Qz9"
_AROUND = st.text(alphabet="ab{}/\"'\n ", max_size=6)
_TEXTS = st.one_of(_AROUND, st.builds("{}{}{}".format, _AROUND, st.just(CANARY), _AROUND))
_DATA = st.recursive(
    st.one_of(_TEXTS, st.just(Secret(CANARY)), st.none(), st.booleans(), st.integers()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["rules", "services", "sources", "destinations", "server", CANARY]), _DATA
    )
)
def test_no_secret_is_kept_wherever_it_was_written(data: dict[str, object]) -> None:
    kept = deciding(data, clean=Redactor((Secret(CANARY),)).clean)

    assert CANARY not in json.dumps(kept)
    assert CANARY not in repr(kept)


def test_a_weak_secret_cannot_be_guessed_from_the_hash(tmp_path: Path) -> None:
    """Also where it was written into a rule by mistake: the hash is over what is shown, and that says `***`."""
    rules = "rules:\n  - {name: a, when: [password = hunter22], drop: true}\n"
    hashes = set()
    for weak in ("hunter22", "swordfish"):
        path = tmp_path / "alertbridge.yaml"
        main = f"sources:\n  prod: {{type: alertmanager, auth: {{bearer_token: {weak}}}}}\n"
        path.write_text(main + rules.replace("hunter22", weak), encoding="utf-8")
        hashes.add(load(path, environ={}).hash)

    assert len(hashes) == 1


def test_text_that_is_no_unicode_can_still_be_stored() -> None:
    json.dumps(deciding({"rules": [{"name": "\ud800"}]}, clean=str), ensure_ascii=False).encode()
