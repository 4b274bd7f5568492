"""Known ways out of Jinja's sandbox, and some of our own: none leads anywhere, directly or through another template."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from alertbridge.errors import RenderingFailed, TemplateError
from alertbridge.rules.template import CONTENT_NAMES, Template, Vocabulary
from tests.unit.rules.samples import CHECKOUT

EVIL = "{{ 1 + 1 }}{0.__class__}%s__class__"
LABELS = CHECKOUT | {"evil": EVIL}
CONTEXT: Mapping[str, object] = {
    "labels": dict(LABELS),  # could be changed, and must not be
    "annotations": {"summary": "High error rate"},
    "group": {"alertname": "Down"},
    "source": "prod",
}
# What a text would hold that came from inside Python or Jinja.
LEAK = re.compile(
    r"<(class|function|bound|built-in|module|generator|\w+ object)|object at 0x|jinja2|alertbridge|mappingproxy"
)

ESCAPES = [
    # attributes, down to the classes of Python
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ().__class__.__base__.__subclasses__() }}",
    "{{ [].__class__.__init__.__globals__ }}",
    "{{ ''.__class__.mro() }}",
    "{{ labels.__class__.__init__.__globals__['__builtins__'] }}",
    "{{ labels['__class__']['__init__'] }}",
    "{{ labels.evil['__class__'] }}",
    "{{ labels.team.__doc__ }}",
    "{{ labels.nope.__class__.__init__.__globals__ }}",
    "{{ nope.__init__.__globals__ }}",
    "{{ (1).__class__ }}{{ 1.0.__class__ }}{{ true.__class__ }}{{ none.__class__ }}",
    "{{ dict.__base__ }}",
    "{% set x = labels.team.upper %}{{ x.__self__ }}{{ x.__func__ }}",
    "{{ labels.team.upper.__globals__ }}",
    "{% set a = '__cla' ~ 'ss__' %}{{ ''[a] }}{{ labels[a][a] }}{{ [][a] }}",
    "{% set a = '__class__' %}{% for c in [a] %}{{ labels.team[c] }}{% endfor %}",
    "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    # attributes through filters and tests
    "{{ labels | attr('__class__') }}",
    "{{ '' | attr('__cl' ~ 'ass__') }}",
    "{{ labels | map('attr', '__class__') | list }}",
    "{{ [labels] | map(attribute='__class__') | list }}",
    "{{ [labels] | map(attribute='__class__.__init__.__globals__') | list }}",
    "{{ ['x'] | map(attribute='upper') | list }}",
    "{{ ['x'] | sum(attribute='__class__', start='') }}",
    "{{ ['x'] | sort(attribute='__class__') }}{{ ['x'] | unique(attribute='__class__') | list }}",
    "{{ ['x'] | min(attribute='__class__') }}{{ ['x'] | max(attribute='__class__') }}",
    "{{ [labels] | selectattr('__class__') | list | length }}",
    "{{ [labels] | rejectattr('__class__.__name__', 'equalto', 'x') | list | length }}",
    "{{ ['x'] | groupby('__class__') }}",
    "{{ ['__class__'] | map('default') | map('attr') | list }}",
    "{{ ['x'] | select('attr') | list }}",
    "{{ ['x'] | map('xmlattr') | list }}{{ ['x'] | map('pprint') | list }}",
    "{{ ['a'] | map('the meter') | list }}{{ ['a'] | map('what was prepared') | list }}",
    "{{ ['a'] | map('the texts joined by ~') | list }}",
    # formats
    "{{ '{0.__class__}'.format(labels) }}",
    "{{ '{x.__class__}'.format_map({'x': labels}) }}",
    "{{ '%s' % labels }}{{ '%(a)s' % {'a': labels} }}",
    "{{ '%s' | format(labels) }}",
    "{{ labels.evil.format(labels) }}",
    "{{ [labels.evil] | map('format', labels) | list }}",
    "{{ labels.evil | regex_replace('(.*)', '{0.__class__}$1') | length }}",
    "{{ '2024-08-01T00:00:00Z' | localtime('UTC', '{0.__class__}') | length }}",
    # globals of Jinja and of web frameworks
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__.os }}",
    "{{ namespace.__init__.__globals__.os }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ range.__class__ }}{{ range(1000000000) | list }}",
    "{% set ns = namespace(x=1) %}{% set ns.x = 2 %}",
    "{{ config }}{{ request }}{{ g }}{{ session }}",
    "{{ url_for.__globals__ }}{{ get_flashed_messages.__globals__ }}",
    "{{ self }}{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ caller() }}{{ varargs }}{{ kwargs }}",
    "{{ context }}{{ environment }}{{ resolve }}{{ super() }}",
    "{{ __import__('os') }}{{ __builtins__ }}{{ open('/etc/passwd') }}",
    "{% for x in [1] %}{% set l = loop %}{{ l.__class__ }}{{ l._iterable }}{{ l._to_iterator }}{{ l._undefined }}{% endfor %}",
    "{% for x in [1] %}{{ loop.cycle.__globals__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop.changed(1) }}{{ loop.cycle(1) }}{% endfor %}",
    "{% for x in [1] %}{{ loop(labels) }}{% endfor %}",
    "{% for x in [1] %}{{ loop | attr('_context') }}{{ loop['_context'] }}{% endfor %}",
    "{% for x in [1] %}{{ [loop] | map(attribute='_recurse') | list }}{% endfor %}",
    # statements
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import popen %}",
    "{% extends labels.evil %}",
    "{% debug %}",
    "{% do labels.clear() %}",
    "{% trans %}x{% endtrans %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% for x in labels recursive %}{{ loop(x) }}{% endfor %}",
    "{% call labels.evil() %}{% endcall %}",
    "{% filter upper %}{% endfilter %}",
    # what would change the alert
    "{{ labels.clear() }}{{ labels.update({'a': 'b'}) }}",
    "{{ labels.pop('team') }}{{ labels.setdefault('a', 'b') }}",
    "{% set labels = {} %}",
    "{% set labels.team = 'x' %}",
    "{% set x = [] %}{{ x.append(1) }}",
]  # fmt: skip


def _held(template: Template) -> None:
    try:
        text = template.render(CONTEXT)
    except RenderingFailed as failed:
        text = str(failed)
    assert not LEAK.search(text), text
    assert CONTEXT["labels"] == LABELS


@pytest.mark.parametrize("text", ESCAPES)
def test_a_known_way_out_is_refused_or_fails_or_leads_nowhere(text: str) -> None:
    try:
        template = Template.compile(text, names=CONTENT_NAMES)
    except TemplateError:
        return
    _held(template)


@pytest.mark.parametrize("text", ESCAPES)
def test_a_known_way_out_is_no_wider_through_another_template(text: str) -> None:
    templates: dict[str, Template] = {}
    vocabulary = Vocabulary(templates)
    try:
        templates["inner"] = Template.compile(text, names=CONTENT_NAMES, vocabulary=vocabulary)
    except TemplateError:
        return
    _held(Template.compile("{{ templates.inner }}", names=CONTENT_NAMES, vocabulary=vocabulary))


def test_what_an_alert_says_is_never_a_template() -> None:
    template = Template.compile("{{ labels.evil }}", names=CONTENT_NAMES)

    assert template.render(CONTEXT) == EVIL
