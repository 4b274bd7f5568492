from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from alertbridge.errors import RenderingFailed, TemplateError
from alertbridge.rules.template import CONTENT_NAMES, IDENTITY_NAMES, SERVICE_NAMES, Template
from tests.unit.rules.samples import CHECKOUT, template

LABELS = MappingProxyType(
    CHECKOUT
    | {
        "items": "twelve",
        "get": "set",
        "values": "core",
        "foo.bar": "dotted",
        "foo-bar": "hyphen",
        "__name__": "up",
    }
)
CONTEXT: Mapping[str, object] = {
    "labels": LABELS,
    "annotations": {"summary": "High error rate", "description": "12% of requests fail"},
    "source": "prod",
    "fingerprint": "bdc4a5686971790d",
    "status": "firing",
    "starts_at": "2026-11-21T19:38:46.728Z",
    "ends_at": "",
    "generator_url": "http://prometheus.example",
    "service": "checkout",
    "group": {"alertname": "HighErrorRate"},
    "external_url": "http://alertmanager.example",
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("[{{ labels.service }}] {{ annotations.summary }}", "[checkout] High error rate"),
        ("{{ source }}/{{ fingerprint }}", "prod/bdc4a5686971790d"),
        ("{{ starts_at }} {{ ends_at }}|", "2026-11-21T19:38:46.728Z |"),
        ("{{ group.alertname }} {{ status }} {{ service }}", "HighErrorRate firing checkout"),
        ("  \n {{ labels.team }} \n", "payments"),
        ("{{ labels.items }} {{ labels.get }} {{ labels.values }}", "twelve set core"),
        ("{{ labels['items'] }} {{ labels['foo.bar'] }}", "twelve dotted"),
        ("{{ labels.__name__ }} {{ labels['__name__'] }}", "up up"),
        ("{{ labels.keys }}|{{ labels.pop }}|{{ labels.copy }}|", "|||"),
        ("{{ labels.nope }}|{{ labels['nope'] }}|{{ labels.nope.deeper['still'] }}|", "|||"),
        ("{{ labels.instance.nothing }}|", "|"),
        ("{{ 'yes' if labels.nope else 'no' }}", "no"),
        ("{{ labels.nope or annotations.summary }}", "High error rate"),
        ("{{ labels.nope | default('none') }}", "none"),
        ("{{ labels.team | default('none') }}", "payments"),
        ("{{ '' | default('none', true) }}", "none"),
        ("{{ labels.nope is defined }} {{ labels.team is defined }}", "False True"),
        ("{{ labels.nope is undefined }}", "True"),
        ("{{ labels.nope == '' }} {{ labels.nope in ['', 'x'] }}", "True True"),
        ("{{ labels.nope + '-' + labels.team }}", "-payments"),
        ("{{ labels.nope ~ '-' ~ labels.team ~ 1 }}", "-payments1"),
        ("{{ labels.nope.split('.')[0] | upper }}|", "|"),
        ("{{ labels.instance.split(':')[0] }}", "web-1.example"),
        ("{{ labels.instance.split(':')[7] | default('80') }}", "80"),
        ("{{ labels.instance.split(':')[-1] }} {{ labels.instance[:5] }}", "8080 web-1"),
        ("{{ labels.instance.replace('web', 'w').upper() }}", "W-1.EXAMPLE:8080"),
        ("{{ labels.instance | replace('e', 'E', 2) }}", "wEb-1.Example:8080"),
        ("{{ labels.severity in ['critical', 'page'] }}", "True"),
        ("{{ {'critical': 'P1'}[labels.severity] | default('P3') }}", "P1"),
        ("{{ {'page': 'P1'}[labels.severity] | default('P3') }}", "P3"),
        ("{{ [labels.team, labels.nope, 'x'] | select | join(', ') }}", "payments, x"),
        ("{{ annotations.description | truncate(9, true) }}", "12% of..."),
        ("{{ group | tojson }}", '{"alertname": "HighErrorRate"}'),
        ("{% if labels.env == 'dev' %}a{% elif labels.env == 'prod' %}b{% else %}c{% endif %}", "b"),
        (
            "{% for name, value in group | items %}{{ name }}={{ value }};{% endfor %}",
            "alertname=HighErrorRate;",
        ),
        ("{% for name, value in labels | dictsort %}{{ loop.index }}{{ name }} {% endfor %}", None),
        (
            "{% for name in annotations %}{{ name }}{{ '' if loop.last else ', ' }}{% endfor %}",
            "summary, description",
        ),
        ("{% for x in labels.nope %}x{% else %}nothing{% endfor %}", "nothing"),
        (
            "{% for x in ['a', 'b'] if x != 'a' %}{% for y in [1, 2] %}{{ x }}{{ y }}{% endfor %}{% endfor %}",
            "b1b2",
        ),
        ("{% set host, port = labels.instance.split(':') %}{{ port }}", "8080"),
        ("{% if labels.nope %}{% set x = 1 %}{% endif %}{{ x }}|", "|"),
        ("{% raw %}{{ labels.team }}{% endraw %}{# a remark #}", "{{ labels.team }}"),
        ("{{ labels | items | map('join', '=') | sort | first }}", "__name__=up"),
        ("{{ 7 // 2 + 2 * 3 - 1 }} {{ 7 % 4 }} {{ 2 ** 3 }} {{ 'ab' * 2 }}", "8 3 8 abab"),
        ("{{ '<b>' ~ ('<' | tojson) }}", '<b>"\\u003c"'),
        ("{{ ('<' | tojson) + '<b>' }}", '"\\u003c"<b>'),
    ],
)
def test_a_template_renders(text: str, result: str | None) -> None:
    if result is None:
        result = " ".join(f"{index}{name}" for index, name in enumerate(sorted(LABELS), 1))
    assert template(text).render(CONTEXT) == result


@pytest.mark.parametrize("text", ["", "critical", "  https://example/{id}\n", "100 % sure }}"])
def test_a_text_without_jinja_is_a_literal(text: str) -> None:
    made = template(text)
    assert made.literal == text.strip()
    assert made.render({}) == text.strip()
    assert made.names == frozenset()


def test_a_template_knows_the_names_it_uses() -> None:
    made = template("{% for x in labels %}{% set y = source %}{{ x }}{{ y }}{{ annotations.z }}{% endfor %}")
    assert made.names == {"labels", "source", "annotations"}
    assert made.literal is None


@pytest.mark.parametrize(
    ("text", "problem", "remedy", "offset"),
    [
        ("a {{ lables.x }}", "unknown name lables", "did you mean labels?", 5),
        ("{{ x }}", "unknown name x", "there are annotations, ends_at", 3),
        ("{{ labels.team }}\n  {{ nmae }}", "unknown name nmae", "there are", 23),
        ("{{ labels.foo-bar }}", "unknown name bar", "write labels['foo-bar']", 14),
        ("{% for x in labels %}{% endfor %}{{ x }}", "unknown name x", "there are", 7),
        ("{{ loop.index }}", "unknown name loop", "There are annotations", 3),
        ("{{ self }}", "unknown name self", "there are", 3),
        ("{{ range }}", "unknown name range", "there are", 3),
        ("{% set labels = 1 %}", "labels cannot be assigned to", "another name", 0),
        ("{{ labels.x", "template syntax: unexpected end of template", "", 0),
        ("a\n {% if labels.x %}", "template syntax: Unexpected end of template", "", 3),
        ("{{ .Labels.severity }}", "template syntax: unexpected '.'", "write {{ labels.severity }}", 0),
        ("{{ $labels.severity }}", "template syntax: unexpected char '$'", "not Go", 0),
        ("{{ labels.x | upperr }}", "there is no filter upperr", "did you mean upper?", 0),
        ("{{ 'x' if true else (1 | nope) }}", "there is no filter nope", "there are abs", 0),
        ("{{ labels.x is defind }}", "there is no test defind", "did you mean defined?", 0),
        ("{{ labels.items() }}", "the method items is not available", "labels | items", 0),
        ("{{ labels.get('x') }}", "the method get is not available", "labels['name'] | default", 0),
        ("{{ ', '.join(labels) }}", "the method join is not available", "| join(', ')", 0),
        ("{{ '{}'.format(1) }}", "the method format is not available", "by ~", 0),
        ("{{ labels.team.nope() }}", "the method nope is not available", "the methods are", 0),
    ],
)
def test_a_mistake_in_a_template_is_refused_with_place_and_remedy(
    text: str, problem: str, remedy: str, offset: int
) -> None:
    with pytest.raises(TemplateError) as refused:
        template(text)
    assert refused.value.problem.startswith(problem)
    assert remedy in refused.value.remedy
    assert refused.value.offset == offset


@pytest.mark.parametrize("name", sorted(CONTENT_NAMES - IDENTITY_NAMES))
def test_a_key_is_built_from_identity_only(name: str) -> None:
    with pytest.raises(TemplateError) as refused:
        Template.compile(f"{{{{ {name} }}}}", names=IDENTITY_NAMES)
    assert refused.value.problem == (
        f"a key, or a label that may be part of one, is built from identity only, because {name} would change while the alert fires"
    )
    assert refused.value.remedy == "use fingerprint, labels, lookup, service, source"


def test_a_service_is_built_from_identity_only() -> None:
    with pytest.raises(TemplateError, match="a service may be part of a key"):
        Template.compile("{{ annotations.x }}", names=SERVICE_NAMES)
    with pytest.raises(TemplateError, match="service is not known here yet"):
        Template.compile("{{ service }}", names=SERVICE_NAMES)


def test_a_name_that_is_not_offered_is_refused() -> None:
    with pytest.raises(TemplateError, match="group is not available here"):
        Template.compile("{{ group.x }}", names=CONTENT_NAMES - {"group"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ 1 / 0 }}", "the template failed: division by zero"),
        ("{{ labels.team + 1 }}", 'can only concatenate str (not "int") to str'),
        ("{% for x in 5 %}{% endfor %}", "'int' object is not iterable"),
        ("{% set a, b = labels.team.split(':') %}", "not enough values to unpack"),
        ("{{ labels.team | items }}", "item pairs"),
        ("{{ labels.team.upper }}", "upper is a method and needs its parentheses"),
    ],
)
def test_a_template_that_fails_on_an_alert_says_why(text: str, reason: str) -> None:
    with pytest.raises(RenderingFailed) as failed:
        template(text).render(CONTEXT)
    assert reason in str(failed.value)
