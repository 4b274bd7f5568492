from __future__ import annotations

import hashlib
import json

from alertbridge.model import JSON
from alertbridge.rules.rule_set import Part, RuleSet

ONE: dict[str, JSON] = {"rules": [{"name": "one", "drop": True}, {"name": "two", "drop": True}]}
OTHER: dict[str, JSON] = {"severities": {"page": "critical"}, "rules": [{"name": "three", "send": ["elven"]}]}


def of(*contents: dict[str, JSON]) -> RuleSet:
    return RuleSet.of(Part(f"{number}.yaml", content) for number, content in enumerate(contents))


def test_the_hash_is_made_of_what_is_kept_and_of_nothing_else() -> None:
    kept = of(ONE, OTHER)

    text = json.dumps([part.content for part in kept.parts], sort_keys=True)
    assert kept.hash == hashlib.sha256(text.encode()).hexdigest()


def test_the_order_of_files_counts_and_neither_their_names_nor_the_order_of_keys() -> None:
    turned = dict(reversed(OTHER.items()))

    assert of(ONE, OTHER).hash != of(OTHER, ONE).hash
    assert of(ONE, turned).hash == of(ONE, OTHER).hash
    assert RuleSet.of([Part("elsewhere.yaml", ONE)]).hash == of(ONE).hash


def test_a_file_that_decides_nothing_is_left_out() -> None:
    assert of({}, ONE, {}) == RuleSet.of([Part("1.yaml", ONE)])


def test_rules_are_counted_over_all_files() -> None:
    assert of(ONE, OTHER).count == 3
    assert of({"severities": {"page": "critical"}}).count == 0
