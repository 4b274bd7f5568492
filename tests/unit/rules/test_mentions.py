from __future__ import annotations

import pytest

from alertbridge.rules.mentions import in_matchers, in_template


def marked(text: str, found: list[tuple[str, int]]) -> list[str]:
    """Each name as it stands in the text at its offset."""
    assert all(text[offset : offset + len(name)] == name for name, offset in found)
    return [name for name, _ in found]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("team = payments", ["team"]),
        ("labels.team=payments", ["team"]),
        ('"my label" = x, env != dev', ["my label", "env"]),
        ('{team =~ "a|b", severity !~ x}', ["team", "severity"]),
        ("team = severity, severity = team", ["team", "severity"]),
        ('"a.b" = c', ["a.b"]),
        ("env = dev, myenv = dev", ["env", "myenv"]),
        ("annotations.summary =~ .*, source = prod, status = firing, group.team = x", []),
        ("annotations.team = x, team = y", ["team"]),
    ],
)
def test_a_matcher_speaks_of_the_label_on_its_left(text: str, names: list[str]) -> None:
    assert marked(text, [*in_matchers(text)]) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("labels.team", []),
        ("{{ labels.team }}", ["team"]),
        ("team {{ labels.team }} {{labels['my team']}} {{ labels[\"x\"] }}", ["team", "my team", "x"]),
        ("{{ labels . team | upper }}", ["team"]),
        ("{%- if labels.env -%} {{ annotations.env }} {%- endif %}{{ labels.env }}", ["env", "env"]),
        ("{{ 'labels.team' }} {# labels.team #} {{ labels }}", []),
        ("{{ group.labels }} {{ annotations.labels.team }}", []),
        ("{{ labels.team.upper() }}", ["team"]),
        ("{{ labels[labels.which] }}", ["which"]),
        ("a\n  b {{ labels.team or\n labels.app }}", ["team", "app"]),
    ],
)
def test_a_template_speaks_of_the_labels_that_it_names(text: str, names: list[str]) -> None:
    assert marked(text, [*in_template(text)]) == names
