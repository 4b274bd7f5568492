from __future__ import annotations

import time
import tracemalloc
from collections.abc import Mapping

import pytest

from alertbridge.errors import RenderingFailed, TemplateError
from alertbridge.rules.template import (
    CONTENT_NAMES,
    DEEPEST,
    IDENTITY_NAMES,
    SERVICE_NAMES,
    Template,
    Vocabulary,
)
from tests.unit.rules.samples import CHECKOUT

CONTEXT: Mapping[str, object] = {
    "labels": CHECKOUT,
    "annotations": {"summary": "High error rate", "half": "x" * 40_000},
    "service": "checkout",
}


def named(**texts: str) -> Vocabulary:
    """Each may use those before it."""
    templates: dict[str, Template] = {}
    vocabulary = Vocabulary(templates)
    for name, text in texts.items():
        templates[name] = Template.compile(text, names=CONTENT_NAMES, vocabulary=vocabulary)
    return vocabulary


def compiled(text: str, names: frozenset[str] = CONTENT_NAMES, /, **texts: str) -> Template:
    return Template.compile(text, names=names, vocabulary=named(**texts))


@pytest.mark.parametrize(
    ("text", "texts", "result"),
    [
        ("{{ templates.a }}", {"a": "[{{ labels.team }}]"}, "[payments]"),
        ("{{ templates['a'] }}!", {"a": "plain"}, "plain!"),
        ("{{ templates.a | upper ~ 1 }}", {"a": "{{ labels.team }}"}, "PAYMENTS1"),
        ("{{ templates.b }}", {"a": "{{ labels.team }}", "b": "({{ templates.a }})"}, "(payments)"),
        ("<{{ templates.a }}>", {"a": "  {{ labels.team }} \n"}, "<payments>"),
        ("{% if templates.a %}yes{% else %}no{% endif %}", {"a": "{{ labels.nope }}"}, "no"),
        ("{{ templates.a or 'none' }}", {"a": "{{ labels.nope }}"}, "none"),
        ("{{ templates.a.split('-')[1] }}", {"a": "x-y"}, "y"),
        ("{% set x = 1 %}{{ templates.a }}{{ x }}", {"a": "{% set x = 2 %}{{ x }}"}, "21"),
        ("{% for x in [1, 2] %}{{ templates.a }}{{ x }}{% endfor %}", {"a": "{% set x = 7 %}a"}, "a1a2"),
        ("{{ templates.labels }}{{ templates.items }}", {"labels": "l", "items": "i"}, "li"),
        ("{{ labels.templates }}|", {"a": "x"}, "|"),
    ],
)
def test_a_named_template_gives_its_text(text: str, texts: Mapping[str, str], result: str) -> None:
    assert compiled(text, **texts).render(CONTEXT) == result


def test_a_named_template_sees_the_alert_and_nothing_that_its_user_has_set() -> None:
    with pytest.raises(TemplateError, match="unknown name x"):
        compiled("{% set x = 1 %}{{ templates.a }}", a="{{ x }}")


@pytest.mark.parametrize(
    ("text", "problem", "remedy", "offset"),
    [
        (
            "a {{ templates.titel }}",
            "there is no template titel",
            "did you mean title? there are b, title",
            5,
        ),
        ("a {{ templates['x'] }}", "there is no template x", "there are b, title", 5),
        ("{{ templates }}", "a template is used by its name alone", "write templates.name", 0),
        ("{{ templates | items }}", "a template is used by its name alone", "write templates.name", 0),
        ("{{ templates[labels.x] }}", "a template is used by its name alone", "write templates.name", 0),
        ("{% for t in templates %}{% endfor %}", "a template is used by its name alone", "templates.name", 0),
        ("{% set t = templates %}{{ t.title }}", "a template is used by its name alone", "templates.name", 0),
        ("{% set templates = labels %}", "templates cannot be assigned to", "another name", 0),
        ("{% for templates in labels %}{% endfor %}", "templates cannot be assigned to", "another name", 0),
        ("{{ templates.title() }}", "a template is not called", "leave out the parentheses", 0),
        ("{{ templates.__class__ }}", "there is no template __class__", "there are", 3),
    ],
)
def test_a_mistaken_use_is_refused_with_place_and_remedy(
    text: str, problem: str, remedy: str, offset: int
) -> None:
    with pytest.raises(TemplateError) as refused:
        compiled(text, title="x", b="y")
    assert refused.value.problem.startswith(problem)
    assert remedy in refused.value.remedy
    assert refused.value.offset == offset


def test_where_there_are_no_templates_the_remedy_is_to_add_one() -> None:
    with pytest.raises(TemplateError, match=r"there is no template x; add it under `templates:`"):
        compiled("{{ templates.x }}")


def test_what_a_named_template_uses_counts_as_used_by_who_uses_it() -> None:
    texts = {"inner": "{{ annotations.summary }}", "outer": "{{ labels.team }}: {{ templates.inner }}"}

    assert compiled("{{ templates.outer }}", **texts).names == {"labels", "annotations"}
    with pytest.raises(TemplateError) as refused:
        compiled("{{ source }} {{ templates.outer }}", IDENTITY_NAMES, **texts)
    assert refused.value.problem == (
        "a key, or a label that may be part of one, is built from identity only, because annotations would change "
        "while the alert fires: templates.outer, which uses templates.inner, which uses annotations"
    )
    assert refused.value.remedy == "use fingerprint, labels, lookup, service, source"
    assert refused.value.offset == 16


def test_a_service_cannot_use_itself_through_a_template() -> None:
    with pytest.raises(
        TemplateError, match=r"service is not known here yet: templates\.a, which uses service"
    ):
        compiled("{{ templates.a }}", SERVICE_NAMES, a="{{ service }}")


def test_a_key_may_use_a_template_of_identity() -> None:
    assert compiled("{{ templates.a }}", IDENTITY_NAMES, a="{{ labels.team }}").render(CONTEXT) == "payments"


def test_a_failing_template_is_named_in_the_reason_all_the_way() -> None:
    made = compiled("x {{ templates.b }}", a="{{ 1 / 0 }}", b="{{ templates.a }}")

    with pytest.raises(RenderingFailed) as failed:
        made.render(CONTEXT)
    assert str(failed.value) == "the template failed: in templates.b: in templates.a: division by zero"


def test_templates_within_each_other_are_so_many_at_most() -> None:
    chain = {"t0": "x"} | {f"t{n}": f"{{{{ templates.t{n - 1} }}}}" for n in range(1, DEEPEST)}

    assert compiled(f"{{{{ templates.t{DEEPEST - 1} }}}}", **chain).render(CONTEXT) == "x"
    chain[f"t{DEEPEST}"] = f"{{{{ templates.t{DEEPEST - 1} }}}}"
    with pytest.raises(TemplateError, match="more than 10 levels deep; write a flatter template"):
        compiled(f"{{{{ templates.t{DEEPEST} }}}}", **chain)


def _tower(bottom: str, step: str, levels: int = DEEPEST) -> dict[str, str]:
    tower = {"t0": bottom}
    for level in range(1, levels):
        tower[f"t{level}"] = step.replace("DOWN", f"templates.t{level - 1}")
    return tower


@pytest.mark.parametrize(
    "tower",
    [
        _tower("xxxxxxxx", "{{ DOWN }}" * 500),
        _tower("", "{{ DOWN }}" * 500),
        _tower("{{ labels.nope }}", "{% if DOWN or DOWN or DOWN or DOWN %}{% endif %}" * 50),
        _tower("{% set x = 1 %}", "{% set x = DOWN ~ DOWN ~ DOWN %}" * 100),
        _tower("x", "{% for a in 'xxxxxxxxxxxxxxxx' %}{{ DOWN }}{% endfor %}"),
        _tower("{{ annotations.half }}", "{{ (DOWN | length) }}{{ DOWN[:1] }}" * 20),
        _tower("x", "{{ [DOWN, DOWN, DOWN, DOWN] | join(DOWN) }}" * 4),
        _tower("x", "{{ (DOWN ~ 'xy') | replace('x', DOWN ~ DOWN) }}"),
        _tower("{% for a in annotations.half %}{% endfor %}", "{{ DOWN }}" * 5),
        _tower("{{ annotations.half | regex_replace('(.?){900}b', '') }}", "{{ DOWN }}" * 5),
        _tower("x", "{{ DOWN ~ DOWN }}" + " " * 9000 + "{{ DOWN }}" * 20),
    ],
    ids=range(11),
)
def test_a_bomb_of_templates_within_templates_fails_soon(tower: Mapping[str, str]) -> None:
    made = compiled(f"{{{{ templates.t{DEEPEST - 1} }}}}", **tower)
    began = time.process_time()
    with pytest.raises(RenderingFailed, match=r"grew beyond|too much work") as failed:
        made.render(CONTEXT)
    assert time.process_time() - began < 2
    assert "in templates.t" in str(failed.value)


def test_a_bomb_of_templates_within_templates_stays_small() -> None:
    made = compiled(f"{{{{ templates.t{DEEPEST - 1} }}}}", **_tower("x" * 40, "{{ DOWN }}" * 40))
    tracemalloc.start()
    try:
        with pytest.raises(RenderingFailed, match="grew beyond"):
            made.render(CONTEXT)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "{{ templates.a.__class__ }}",
        "{{ templates['a']['__class__'] }}",
        "{{ templates.a | attr('__class__') }}",
        "{{ templates.a.format(labels) }}",
        "{{ templates.__init__.__globals__ }}",
        "{{ templates._TemplateReference__context }}",
        "{{ templates.a.render }}",
    ],
)
def test_a_named_template_is_no_way_out_of_the_sandbox(text: str) -> None:
    try:
        result = compiled(text, a="{0.__class__}").render(CONTEXT)
    except TemplateError:
        return
    assert result == ""


@pytest.mark.parametrize(
    "text",
    [
        "{{ [].__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ self.__init__ }}",
        "{{ lipsum() }}",
        "{{ labels | attr('__class__') }}",
        "{{ '{0.__class__}'.format(labels) }}",
        "{% include 'x' %}",
        "{% macro m() %}{% endmacro %}",
    ],
)
def test_a_named_template_is_held_to_the_same_rules(text: str) -> None:
    with pytest.raises(TemplateError):
        compiled("{{ templates.a }}", a=text)


def test_a_template_that_was_not_written_out_cannot_be_reached() -> None:
    made = compiled("{{ ['b'] | map('a template by its name') | list }}{{ templates.a }}", a="x", b="y")

    with pytest.raises(RenderingFailed, match="No filter named"):
        made.render(CONTEXT)
